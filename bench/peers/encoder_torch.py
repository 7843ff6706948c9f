# The image encoder in PyTorch, for `bench peers`, in a process of its own so that its peak memory is its own.
#   encoder_torch.py run WEIGHTS HEADS INPUT THREADS fp32|bf16    serves run, save and quit (see peer.py)
#   encoder_torch.py export WEIGHTS HEADS OUT                     writes the same network as ONNX, for ONNX Runtime
# HEADS: how many heads' logits of global attention are in memory together; all 12 is what the official code does.
# bf16 is PyTorch's autocast: products in bf16 (fast where the processor has AVX512-BF16), the rest in fp32.
import os
import sys
import warnings

import numpy
import torch

import peer
import vit

SHAPE = (1, 3, 1024, 1024)
OPSET = 17  # the first with LayerNormalization, the last that PyTorch 1.13 writes


def network(weights, heads):
    return vit.load(vit.ImageEncoder(at_once=heads), weights, "image_encoder.").eval()


def run(weights, heads, image, threads, precision):
    torch.set_num_threads(threads)
    model = network(weights, heads)
    x = torch.from_numpy(numpy.fromfile(image, "<f4")).reshape(SHAPE)

    def once():
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            return model(x)

    peer.serve(once, lambda y, path: y.float().contiguous().numpy().tofile(path), f"PyTorch {torch.__version__}",
               f"{'autocast to bf16, ' if precision == 'bf16' else ''}oneDNN "
               f"{'on' if torch.backends.mkldnn.is_available() else 'off'}, {torch.get_num_threads()} threads")


def export(weights, heads, out):
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracer: the sizes are meant to be constants
        torch.onnx.export(network(weights, heads), torch.zeros(SHAPE), out + ".part", opset_version=OPSET,
                          do_constant_folding=True, input_names=["image"], output_names=["embedding"])
    os.replace(out + ".part", out)


if __name__ == "__main__":
    if len(sys.argv) == 7 and sys.argv[1] == "run" and sys.argv[6] in ("fp32", "bf16"):
        run(sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5]), sys.argv[6])
    elif len(sys.argv) == 5 and sys.argv[1] == "export":
        export(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    else:
        sys.exit("usage: encoder_torch.py run WEIGHTS HEADS INPUT THREADS fp32|bf16 | export WEIGHTS HEADS OUT")
