"""A BERT-type sentence encoder's folder in PyTorch, eager, as a careful user writes it: joined
products, PyTorch's own attention, no mask where nothing is padded, inference mode."""
import json
import os

import torch
import torch.nn.functional as F
from safetensors.torch import load_file


class Encoder:
    def __init__(self, folder):
        with open(os.path.join(folder, 'config.json'), encoding='utf-8') as file:
            self.config = json.load(file)
        self.t = load_file(os.path.join(folder, 'model.safetensors'))
        self.joined = []
        for i in range(self.config['num_hidden_layers']):
            names = [f'encoder.layer.{i}.attention.self.{part}'
                     for part in ('query', 'key', 'value')]
            self.joined.append([torch.cat([self.t[f'{name}.{kind}'] for name in names])
                                for kind in ('weight', 'bias')])

    def norm(self, prefix, x):
        return F.layer_norm(x, x.shape[-1:], self.t[prefix + '.weight'], self.t[prefix + '.bias'],
                            self.config['layer_norm_eps'])

    def dense(self, prefix, x):
        return F.linear(x, self.t[prefix + '.weight'], self.t[prefix + '.bias'])

    def attention(self, i, x):
        heads = self.config['num_attention_heads']
        y = F.linear(x, *self.joined[i]).unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(y[0], y[1], y[2])
        return self.dense(f'encoder.layer.{i}.attention.output.dense',
                          y.transpose(1, 2).flatten(2))

    @torch.inference_mode()
    def __call__(self, ids):
        x = self.t['embeddings.word_embeddings.weight'][ids]
        x = x + self.t['embeddings.token_type_embeddings.weight'][0]
        x = x + self.t['embeddings.position_embeddings.weight'][:ids.shape[1]]
        x = self.norm('embeddings.LayerNorm', x)
        for i in range(len(self.joined)):
            prefix = f'encoder.layer.{i}'
            x = self.norm(prefix + '.attention.output.LayerNorm', x + self.attention(i, x))
            y = F.gelu(self.dense(prefix + '.intermediate.dense', x))
            x = self.norm(prefix + '.output.LayerNorm', x + self.dense(prefix + '.output.dense', y))
        return F.normalize(x.mean(1), dim=-1)
