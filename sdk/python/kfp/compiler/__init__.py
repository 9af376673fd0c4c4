"""kfp.compiler: from pipelines to PipelineSpec, the intermediate representation."""


def __getattr__(name):
    if name in ('Compiler', 'KubernetesManifestOptions'):
        from kfp.compiler import compiler
        return getattr(compiler, name)
    if name == 'compiler':
        return __import__('kfp.compiler.compiler', fromlist=['*'])
    raise AttributeError(f"module 'kfp.compiler' has no attribute {name!r}")


__all__ = ['Compiler', 'KubernetesManifestOptions']
