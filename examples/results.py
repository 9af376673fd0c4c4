"""What the client of this package adds: logs while a run goes on, the pipeline's outputs, and its artifacts as files.

`python examples/results.py [FOLDER]` starts a run on the server and puts what it made into the folder.
"""
import sys

import kfp
from kfp import dsl


@dsl.component
def measure(rounds: int, report: dsl.Output[dsl.Markdown], metrics: dsl.Output[dsl.Metrics]) -> float:
    total = 0.0
    for n in range(1, rounds + 1):
        total += 1 / n
        print(f'round {n}: {total:.3f}', flush=True)
    metrics.log_metric('total', total)
    with open(report.path, 'w') as f:
        f.write(f'# Harmonic\n\nAfter {rounds} rounds: {total:.3f}\n')
    return round(total, 3)


@dsl.pipeline(name='results')
def results(rounds: int = 3) -> float:
    return measure(rounds=rounds).outputs['Output']


if __name__ == '__main__':
    client = kfp.Client()
    run_id = client.create_run_from_pipeline_func(results, arguments={'rounds': 4}).run_id
    for task, line in client.follow_run_logs(run_id):
        print(f'[{task}] {line}')
    run = client.wait_for_run_completion(run_id)
    print('state:', run.state)
    print('outputs:', client.get_run_outputs(run_id))
    for path in client.download_run_artifacts(run_id, sys.argv[1] if len(sys.argv) > 1 else 'results'):
        print('file:', path)
