"""A notebook as a step: it goes along in the pipeline, gets its parameters, and leaves a file that the step returns."""
import os

import kfp
from kfp import dsl

HERE = os.path.dirname(os.path.abspath(__file__))


@dsl.notebook_component(notebook_path=os.path.join(HERE, 'growth.ipynb'))
def grow(years: int, rate: float) -> float:
    import json
    import os
    dsl.run_notebook(years=years, rate=rate)
    with open(os.path.join(__KFP_EMBEDDED_ASSET_DIR, 'result.json')) as f:  # noqa: F821, the folder of the notebook
        return json.load(f)


@dsl.pipeline(name='notebook', description='Executes growth.ipynb.')
def notebook(years: int = 2, rate: float = 0.5) -> float:
    return grow(years=years, rate=rate).output


if __name__ == '__main__':
    kfp.Client().create_run_from_pipeline_func(notebook, arguments={'years': 10})
