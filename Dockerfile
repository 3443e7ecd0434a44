# docker build -t onnx2snn . && docker run --rm -v "$PWD":/data onnx2snn ann.onnx snn.onnx
FROM python:3.12-slim
COPY . /src
RUN pip install --no-cache-dir -c /src/constraints.txt '/src[images,report,nir]' && rm -rf /src
WORKDIR /data
ENTRYPOINT ["onnx2snn"]
