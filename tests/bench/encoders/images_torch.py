"""EfficientNet-Lite of an encoder folder in PyTorch, as a careful user writes it: batch
normalisation as loaded, in evaluation mode, padding as a layer where it is not symmetric."""
import json
import os

import torch
from safetensors.torch import load_file
from torch import nn


class Convolution(nn.Sequential):
    """`size` is the input's side; the padding is TensorFlow's SAME."""

    def __init__(self, tensors, size, weight, bn, stride, clip, eps):
        w = tensors[weight + '.weight']
        cout, kernel = w.shape[0], w.shape[2]
        groups = cout if 'depthwise' in weight else 1
        out = -(-size // stride)
        pad = max((out - 1) * stride + kernel - size, 0)
        uneven = pad % 2 == 1
        convolution = nn.Conv2d(w.shape[1] * groups, cout, kernel, stride, groups=groups,
                                bias=False, padding=0 if uneven else pad // 2)
        norm = nn.BatchNorm2d(cout, eps=eps)
        with torch.no_grad():
            convolution.weight.copy_(w)
            for name in ('weight', 'bias', 'running_mean', 'running_var'):
                getattr(norm, name).copy_(tensors[f'{bn}.{name}'])
        layers = [convolution, norm] + ([nn.ReLU6(inplace=True)] if clip else [])
        if uneven:
            layers.insert(0, nn.ZeroPad2d((pad // 2, pad - pad // 2) * 2))
        super().__init__(*layers)
        self.size = out


class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


class Encoder:
    """Called with (n, 3, side, side) it gives (n, dim)."""

    def __init__(self, folder):
        with open(os.path.join(folder, 'config.json'), encoding='utf-8') as file:
            config = json.load(file)
        tensors = load_file(os.path.join(folder, 'model.safetensors'))
        eps, size, number, width = config['batch_norm_eps'], config['image_size'], 0, config['stem']

        def convolution(*args):
            nonlocal size
            layer = Convolution(tensors, size, *args, eps)
            size = layer.size
            return layer

        layers = [convolution('_conv_stem', '_bn0', 2, True)]
        for stage in config['stages']:
            for repeat in range(stage['repeats']):
                prefix, stride = f'_blocks.{number}.', 1 if repeat else stage['stride']
                block = []
                if stage['expand'] != 1:
                    block.append(convolution(prefix + '_expand_conv', prefix + '_bn0', 1, True))
                block += [convolution(prefix + '_depthwise_conv', prefix + '_bn1', stride, True),
                          convolution(prefix + '_project_conv', prefix + '_bn2', 1, False)]
                residual = stride == 1 and width == stage['out']
                layers.append((Residual if residual else nn.Sequential)(*block))
                number, width = number + 1, stage['out']
        layers += [convolution('_conv_head', '_bn1', 1, True), nn.AdaptiveAvgPool2d(1),
                   nn.Flatten()]
        self.net = nn.Sequential(*layers).eval()

    @torch.inference_mode()
    def __call__(self, x):
        return self.net(x)
