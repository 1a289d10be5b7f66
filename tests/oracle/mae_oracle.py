"""A masked autoencoder in plain PyTorch, the independent reference of the parity tests.

Written from the paper (He et al. 2021) for clarity, not speed; parameter names are those of the
public checkpoints, so load_state_dict(strict=True) is itself a test of the file format.
"""
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

MEAN = torch.tensor([0.485, 0.456, 0.406])
STD = torch.tensor([0.229, 0.224, 0.225])


def sincos_1d(width, positions):
    omega = 1.0 / 10000 ** (np.arange(width // 2, dtype=np.float64) / (width / 2))
    angle = np.outer(np.asarray(positions, np.float64), omega)
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)


def position_table(kind, width, side, class_token):
    rows, columns = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    if kind == "sincos2d":
        table = np.concatenate([sincos_1d(width // 2, columns.ravel()),
                                sincos_1d(width // 2, rows.ravel())], axis=1)
    else:
        table = sincos_1d(width, np.arange(side * side))
    if class_token:
        table = np.concatenate([np.zeros((1, width)), table])
    return torch.tensor(table[None].astype(np.float32))


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        b, n, w = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, w // self.heads).permute(2, 0, 3, 1, 4)
        scores = (q @ k.transpose(-2, -1)) * (w // self.heads) ** -0.5
        return self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, n, w))


class Mlp(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class MaskedAutoencoder(nn.Module):
    def __init__(self, image_size, patch_size, encoder, decoder, pos_embed="sincos2d",
                 decoder_pos_embed="sincos2d", class_token=True, encoder_mask_tokens=False,
                 norm_pix=False, loss="masked"):
        super().__init__()
        d, depth, heads = encoder
        e, decoder_depth, decoder_heads = decoder
        side = image_size // patch_size
        self.side, self.patch, self.norm_pix, self.loss_kind = side, patch_size, norm_pix, loss
        self.extra = 1 if class_token else 0
        self.encoder_mask_tokens = encoder_mask_tokens
        if class_token:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, d))
        if encoder_mask_tokens:
            self.encoder_mask_token = nn.Parameter(torch.zeros(1, 1, d))
        else:
            self.mask_token = nn.Parameter(torch.zeros(1, 1, e))
        self._positions("pos_embed", pos_embed, d, side)
        self._positions("decoder_pos_embed", decoder_pos_embed, e, side)
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(3, d, patch_size, patch_size)
        self.blocks = nn.ModuleList([Block(d, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(d, eps=1e-6)
        self.decoder_embed = nn.Linear(d, e)
        self.decoder_blocks = nn.ModuleList(
            [Block(e, decoder_heads) for _ in range(decoder_depth)])
        self.decoder_norm = nn.LayerNorm(e, eps=1e-6)
        self.decoder_pred = nn.Linear(e, 3 * patch_size ** 2)

    def _positions(self, name, kind, width, side):
        if kind == "none":
            setattr(self, name, None)
        elif kind == "learned":
            rows = side * side + self.extra
            setattr(self, name, nn.Parameter(torch.zeros(1, rows, width)))
        else:
            table = position_table(kind, width, side, self.extra == 1)
            setattr(self, name, nn.Parameter(table, requires_grad=False))

    def normalise(self, images):
        """uint8 [b, s, s, 3] -> [b, 3, s, s]."""
        return ((images.float() / 255 - MEAN) / STD).permute(0, 3, 1, 2)

    def patches(self, pixels):
        """[b, 3, s, s] -> [b, patches, p*p*3], channel fastest."""
        b, p, side = len(pixels), self.patch, self.side
        x = pixels.reshape(b, 3, side, p, side, p).permute(0, 2, 4, 3, 5, 1)
        return x.reshape(b, side * side, p * p * 3)

    def forward(self, images, visible):
        """images uint8 [b, s, s, 3], visible int64 [b, keep] -> loss, prediction [b, L, 3pp]."""
        pixels = self.normalise(images)
        b, patches, extra = len(images), self.side ** 2, self.extra
        masked = torch.ones(b, patches).scatter_(1, visible, 0.0)

        x = self.patch_embed.proj(pixels).flatten(2).transpose(1, 2)
        width = x.shape[-1]
        if self.encoder_mask_tokens:
            hidden = masked[..., None].bool()
            x = torch.where(hidden, self.encoder_mask_token.expand(b, patches, -1), x)
        if self.pos_embed is not None:
            x = x + self.pos_embed[:, extra:]
        if not self.encoder_mask_tokens:
            x = x.gather(1, visible[..., None].expand(-1, -1, width))
        if extra:
            first = self.cls_token
            if self.pos_embed is not None:
                first = first + self.pos_embed[:, :1]
            x = torch.cat([first.expand(b, -1, -1), x], 1)
        for block in self.blocks:
            x = block(x)
        x = self.decoder_embed(self.norm(x))

        if not self.encoder_mask_tokens:
            full = self.mask_token.expand(b, patches, -1).to(x.dtype)
            full = full.scatter(1, visible[..., None].expand(-1, -1, x.shape[-1]), x[:, extra:])
            x = torch.cat([x[:, :extra], full], 1)
        if self.decoder_pos_embed is not None:
            x = x + self.decoder_pos_embed
        for block in self.decoder_blocks:
            x = block(x)
        prediction = self.decoder_pred(self.decoder_norm(x))[:, extra:]

        target = self.patches(pixels)
        if self.norm_pix:
            mean = target.mean(-1, keepdim=True)
            variance = target.var(-1, unbiased=True, keepdim=True)
            target = (target - mean) / (variance + 1e-6).sqrt()
        error = ((prediction - target) ** 2).mean(-1)
        if self.loss_kind == "all":
            return error.mean(), prediction
        return (error * masked).sum() / masked.sum(), prediction

    def randomize(self, generator):
        """Random weights of realistic size, biases and norms included, so that no gradient path is
        hidden behind a zero."""
        for name, p in self.named_parameters():
            if not p.requires_grad:
                continue
            noise = torch.randn(p.shape, generator=generator)
            with torch.no_grad():
                if p.dim() == 1:
                    p.copy_((1.0 if "norm" in name and name.endswith("weight") else 0.0)
                            + 0.02 * noise)
                elif name.endswith("_token") or name.endswith("pos_embed"):
                    p.copy_(0.02 * noise)
                else:
                    fan = p.shape[0] + p[0].numel()
                    p.copy_(noise * math.sqrt(2.0 / fan))


def adamw(model, weight_decay, betas=(0.9, 0.95)):
    decays = [p for p in model.parameters() if p.requires_grad and p.dim() >= 2]
    rest = [p for p in model.parameters() if p.requires_grad and p.dim() < 2]
    return torch.optim.AdamW([{"params": decays, "weight_decay": weight_decay},
                              {"params": rest, "weight_decay": 0.0}], lr=0.0, betas=betas, eps=1e-8)


def learning_rate(epoch, lr, min_lr, warmup, epochs):
    if epoch < warmup:
        return lr * epoch / warmup
    return min_lr + (lr - min_lr) * 0.5 * (
        1.0 + math.cos(math.pi * (epoch - warmup) / (epochs - warmup)))
