"""`python3 -m kfp.dsl.executor_main`: what a Python step runs."""

from kfp.dsl.executor import main

if __name__ == '__main__':
    main()
