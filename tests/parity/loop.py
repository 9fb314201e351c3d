"""The last-block methods written out by hand: numpy, float64, loops, no torch."""

import math

import numpy as np

ERF = np.vectorize(math.erf)


def similarities(state, images, text, config, *, attention, residual, ffn):
    """Return (B, Q, h, w) for images (B, 3, H, W) normalised, from a CLIP's state dict."""
    state = {name: value.numpy().astype(np.float64) for name, value in state.items()}
    vision = config["vision_cfg"]
    text = text / np.linalg.norm(text, axis=1, keepdims=True)
    results = []
    for image in images.astype(np.float64):
        x, grid = tokens(state, image, vision)
        for layer in range(vision["layers"]):
            last = layer == vision["layers"] - 1
            x = block(
                dict(of_block(state, layer)),
                x,
                vision["head_width"],
                config["quick_gelu"],
                *((attention, residual, ffn) if last else ("qk", True, True)),
            )
        x = norm(x, state["visual.ln_post.weight"], state["visual.ln_post.bias"])
        x = x @ state["visual.proj"]
        patches = x[1:] / np.linalg.norm(x[1:], axis=1, keepdims=True)
        results.append((patches @ text.T).T.reshape(len(text), *grid))
    return np.stack(results)


def tokens(state, image, vision):
    patch = vision["patch_size"]
    rows, cols = image.shape[1] // patch, image.shape[2] // patch
    kernel = state["visual.conv1.weight"]
    found = [state["visual.class_embedding"]]
    for row in range(rows):
        for col in range(cols):
            part = image[:, row * patch : (row + 1) * patch, col * patch : (col + 1) * patch]
            found.append((kernel * part).sum(axis=(1, 2, 3)))
    position = state["visual.positional_embedding"]
    height, width = (side // patch for side in vision["image_size"])
    plane = position[1:].reshape(height, width, -1)
    if (rows, cols) != (height, width):
        plane = np.einsum("ri,cj,ijk->rck", cubic(rows, height), cubic(cols, width), plane)
    x = np.stack(found) + np.concatenate([position[:1], plane.reshape(rows * cols, -1)])
    return norm(x, state["visual.ln_pre.weight"], state["visual.ln_pre.bias"]), (rows, cols)


def cubic(new, old):
    """Return the (new, old) matrix of bicubic resizing by the factor (new + 0.1) / old."""
    matrix = np.zeros((new, old))
    for i in range(new):
        place = (i + 0.5) * old / (new + 0.1) - 0.5
        for j in range(math.floor(place) - 1, math.floor(place) + 3):
            d, a = abs(place - j), -0.75
            if d <= 1:
                weight = ((a + 2) * d - (a + 3)) * d * d + 1
            else:
                weight = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
            matrix[i, min(max(j, 0), old - 1)] += weight
    return matrix


def of_block(state, layer):
    prefix = f"visual.transformer.resblocks.{layer}."
    for name, value in state.items():
        if name.startswith(prefix):
            yield name.removeprefix(prefix), value


def block(own, x, head_width, quick_gelu, attention, residual, ffn):
    y = norm(x, own["ln_1.weight"], own["ln_1.bias"])
    y = y @ own["attn.in_proj_weight"].T + own["attn.in_proj_bias"]
    width = x.shape[1]
    mixed = np.zeros_like(x)
    for head in range(width // head_width):
        at = head * head_width
        part = {
            name: y[:, index * width + at : index * width + at + head_width]
            for index, name in enumerate("qkv")
        }
        for term in attention.split("+"):
            for i in range(len(x)):
                if term == "identity":
                    weights = np.eye(len(x))[i]
                else:
                    scores = part[term[1]] @ part[term[0]][i] / math.sqrt(head_width)
                    weights = np.exp(scores - scores.max())
                    weights /= weights.sum()
                mixed[i, at : at + head_width] += weights @ part["v"]
    out = mixed @ own["attn.out_proj.weight"].T + own["attn.out_proj.bias"]
    x = x + out * own.get("ls_1.gamma", 1) if residual else out * own.get("ls_1.gamma", 1)
    if ffn:
        y = norm(x, own["ln_2.weight"], own["ln_2.bias"])
        y = y @ own["mlp.c_fc.weight"].T + own["mlp.c_fc.bias"]
        y = y / (1 + np.exp(-1.702 * y)) if quick_gelu else y * (1 + ERF(y / math.sqrt(2))) / 2
        y = y @ own["mlp.c_proj.weight"].T + own["mlp.c_proj.bias"]
        x = x + y * own.get("ls_2.gamma", 1)
    return x


def norm(x, weight, bias):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5) * weight + bias
