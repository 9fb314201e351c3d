FROM python:3.11-slim
# The index of PyTorch's CPU build; without it pip takes the default build, with CUDA.
ARG TORCH_INDEX=""
WORKDIR /src
COPY . .
RUN pip install --no-cache-dir --constraint constraints.txt ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch torchvision \
    && pip install --no-cache-dir --constraint constraints.txt .
# Any user may run it.
ENV HOME=/tmp
WORKDIR /data
ENTRYPOINT ["rsclip"]
