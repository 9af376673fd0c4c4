"""The name of the executor in steps compiled by kfp 2.0."""

import gc

gc.disable()  # nothing that is loaded before the function runs is garbage

from kfp.dsl.executor import main  # noqa: E402

if __name__ == '__main__':
    main()
