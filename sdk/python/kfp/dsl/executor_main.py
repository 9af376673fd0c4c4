"""`python3 -m kfp.dsl.executor_main`: what a Python step runs."""

import gc

gc.disable()  # nothing that is loaded before the function runs is garbage

from kfp.dsl.executor import main  # noqa: E402

if __name__ == '__main__':
    main()
