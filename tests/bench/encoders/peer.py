"""A peer of the comparison (run) in a process of its own: peer.py KIND FOLDER, told by lines of
JSON what to do as encode.c is, with ids in place of texts; {"ids", "check": true} gives features.
One session a number of threads is kept, so that none pays for the others' settings."""
import json
import sys
import time


def onnx(folder, fused):
    import numpy as np
    import onnxruntime
    import texts_onnx
    onnxruntime.set_default_logger_severity(3)
    model = texts_onnx.build(folder, fused)

    def start(threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        session = onnxruntime.InferenceSession(model, options,
                                               providers=['CPUExecutionProvider'])
        return lambda ids: session.run(None, {'ids': ids})[0]
    return start, lambda ids: np.array(ids, np.int64)


def pytorch(folder):
    import texts_torch
    import torch
    encoder = texts_torch.Encoder(folder)

    def start(threads):
        torch.set_num_threads(threads)
        return encoder
    return start, torch.tensor


def image_onnx(folder):
    import images_onnx
    import numpy as np
    import onnxruntime
    onnxruntime.set_default_logger_severity(3)
    model = images_onnx.build(folder)

    def start(threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        session = onnxruntime.InferenceSession(model, options,
                                               providers=['CPUExecutionProvider'])
        return lambda x: session.run(None, {'x': x})[0]
    return start, lambda n: np.random.default_rng(1).uniform(-1, 1, (n, 3, 224, 224)).astype('f4')


def image_pytorch(folder):
    import images_torch
    import torch
    encoder = images_torch.Encoder(folder)

    def start(threads):
        torch.set_num_threads(threads)
        return encoder
    return start, lambda n: torch.rand(n, 3, 224, 224) * 2 - 1


KINDS = {'onnx-plain': lambda folder: onnx(folder, False),
         'onnx-fused': lambda folder: onnx(folder, True),
         'torch': pytorch,
         'image-onnx': image_onnx,
         'image-torch': image_pytorch}


def main():
    start, convert = KINDS[sys.argv[1]](sys.argv[2])
    sessions = {}
    for line in sys.stdin:
        task = json.loads(line)
        threads = task['threads']
        if threads not in sessions or sys.argv[1].endswith('torch'):
            sessions[threads] = start(threads)
        ids, run, times = convert(task.get('ids', task.get('pictures'))), sessions[threads], []
        if task.get('check'):
            print(json.dumps(run(ids).tolist()), flush=True)
            continue
        for _ in range(task['reps']):
            begin = time.perf_counter()
            run(ids)
            times.append(time.perf_counter() - begin)
        print(json.dumps(times), flush=True)


if __name__ == '__main__':
    main()
