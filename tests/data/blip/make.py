"""Made what lies here: a small BLIP with seeded weights, and what transformers reads by it.

pip install transformers torchvision && python tests/data/blip/make.py
"""

from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
LETTERS = [*"abcdefghijklmnopqrstuvwxyz.", *(f"##{each}" for each in "abcdefghijklmnopqrstuvwxyz")]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "photo", "of", "water", "road", *LETTERS]
TEXTS = ["a photo of water.", "Road", "a long road of Sand, by the water"]


def main():
    from transformers import BlipConfig, BlipForImageTextRetrieval

    torch.manual_seed(18)
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 2}
    config = BlipConfig(
        text_config={
            **sizes, "hidden_size": 24, "intermediate_size": 40, "vocab_size": len(WORDS) + 2,
            "max_position_embeddings": 48, "encoder_hidden_size": 32, "pad_token_id": 0,
        },
        vision_config={
            **sizes, "hidden_size": 32, "intermediate_size": 72, "image_size": 32, "patch_size": 8,
        },
        image_text_hidden_size=12,
    )  # fmt: skip
    model = BlipForImageTextRetrieval(config).eval()
    with torch.no_grad():
        for value in model.parameters():
            value.copy_(torch.randn(value.shape) * 0.3)
    model.save_pretrained(HERE)
    (HERE / "vocab.txt").write_text("".join(f"{word}\n" for word in WORDS), encoding="utf-8")
    from tokenizers import BertWordPieceTokenizer

    tokens = BertWordPieceTokenizer(str(HERE / "vocab.txt"), lowercase=True)
    tokens.enable_padding(pad_id=0)
    read = tokens.encode_batch(TEXTS)
    ids, mask = (torch.tensor([getattr(each, key) for each in read])
                 for key in ("ids", "attention_mask"))  # fmt: skip
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        seen = model.vision_model(images).last_hidden_state
        said = model.text_encoder(ids, attention_mask=mask).last_hidden_state
        np.savez(
            HERE / "expected.npz",
            images=images,
            patches=model.vision_proj(seen),
            words=torch.nn.functional.normalize(model.text_proj(said[:, 0]), dim=-1),
            scores=model(ids, images, use_itm_head=False, attention_mask=mask).itm_score,
        )


if __name__ == "__main__":
    main()
