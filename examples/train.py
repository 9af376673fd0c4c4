"""Datasets, a model and its metrics as artifacts: makes data, fits a line to it, and measures the fit."""
import kfp
from kfp import dsl
from kfp.dsl import Dataset, Input, Metrics, Model, Output


@dsl.component
def make_data(rows: int, data: Output[Dataset]):
    import random
    random.seed(7)
    with open(data.path, 'w') as f:
        f.write('x,y\n')
        for _ in range(rows):
            x = random.random()
            f.write(f'{x},{3 * x + 1 + random.gauss(0, 0.01)}\n')
    data.metadata['rows'] = rows


@dsl.component
def fit(data: Input[Dataset], model: Output[Model]):
    import csv
    import json
    with open(data.path) as f:
        points = [(float(r['x']), float(r['y'])) for r in csv.DictReader(f)]
    n = len(points)
    mean_x = sum(x for x, _ in points) / n
    mean_y = sum(y for _, y in points) / n
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
    with open(model.path, 'w') as f:
        json.dump({'slope': slope, 'intercept': mean_y - slope * mean_x}, f)
    model.metadata['framework'] = 'none'


@dsl.component
def evaluate(data: Input[Dataset], model: Input[Model], metrics: Output[Metrics]) -> float:
    import csv
    import json
    with open(model.path) as f:
        m = json.load(f)
    with open(data.path) as f:
        errors = [(m['slope'] * float(r['x']) + m['intercept'] - float(r['y'])) ** 2 for r in csv.DictReader(f)]
    mse = sum(errors) / len(errors)
    metrics.log_metric('mse', mse)
    return mse


@dsl.pipeline(name='train')
def train(rows: int = 200) -> float:
    data = make_data(rows=rows)
    model = fit(data=data.outputs['data'])
    return evaluate(data=data.outputs['data'], model=model.outputs['model']).outputs['Output']


if __name__ == '__main__':
    kfp.Client().create_run_from_pipeline_func(train)
