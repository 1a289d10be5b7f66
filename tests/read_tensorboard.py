"""Reads what `harness export tensorboard` wrote with the real tensorboard package.

    python3 tests/tensorboard.py FOLDER RUNS

Every run has scalars with increasing steps and times after its start, and hparams; prints a line
and exits 0, or says what is missing.
"""
import os
import sys

from tensorboard.backend.event_processing import event_accumulator
from tensorboard.plugins.hparams import plugin_data_pb2


def hparams(accumulator):
    content = accumulator.PluginTagToContent('hparams')['_hparams_/session_start_info']
    data = plugin_data_pb2.HParamsPluginData.FromString(content)
    return {name: value.string_value or value.number_value
            for name, value in data.session_start_info.hparams.items()}


def check(folder):
    accumulator = event_accumulator.EventAccumulator(folder, size_guidance={'scalars': 0})
    accumulator.Reload()
    losses = accumulator.Scalars('train/loss')
    assert len(losses) > 1, folder + ': no losses'
    for before, after in zip(losses, losses[1:]):
        assert after.step == before.step + 1, folder + ': steps are missing'
        assert after.wall_time >= before.wall_time > 1e9, folder + ': times do not follow'
    scores = accumulator.Scalars('eval/psnr_masked')
    assert scores and scores[-1].step == losses[-1].step, folder + ': no score of the last step'
    assert 'run.seed' in hparams(accumulator), folder + ': no hparams'
    return len(accumulator.Tags()['images'])


def main():
    runs = [folder for folder, _, files in os.walk(sys.argv[1]) if files]
    assert len(runs) == int(sys.argv[2]), '%d runs, expected %s' % (len(runs), sys.argv[2])
    pictures = sum(check(run) for run in runs)
    print('%d runs read by tensorboard, %d pictures' % (len(runs), pictures))


main()
