"""kfp.local: not offered. `penstock up` runs pipelines on this machine."""


def _refuse(*_, **__):
    raise NotImplementedError('kfp.local is not offered: start `penstock up`, and run the pipeline with kfp.Client()')


init = _refuse
SubprocessRunner = _refuse
DockerRunner = _refuse
