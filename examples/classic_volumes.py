"""The first SDK's volumes and settings: a claim that the pipeline makes, mounts in two steps, and deletes."""
import kfp
from kfp import dsl


@dsl.pipeline(name='classic-volumes', description='Steps that share a volume.')
def classic_volumes(text: str = 'on the volume'):
    dsl.get_pipeline_conf().set_timeout(600).add_op_transformer(lambda op: op.add_pod_label('example', 'volumes'))
    claim = dsl.VolumeOp(name='make claim', resource_name='shared', size='1Gi', modes=dsl.VOLUME_MODE_RWO)
    write = dsl.ContainerOp(name='write', image='debian:12', command=['sh', '-c'], arguments=['echo "$0" > /mnt/shared/file', text],
                            pvolumes={'/mnt/shared': claim.volume})
    read = dsl.ContainerOp(name='read', image='debian:12', command=['sh', '-c', 'cp /mnt/shared/file /tmp/out'],
                           pvolumes={'/mnt/shared': write.pvolume}, file_outputs={'text': '/tmp/out'})
    claim.delete().after(read)


if __name__ == '__main__':
    kfp.Client().create_run_from_pipeline_func(classic_volumes)
