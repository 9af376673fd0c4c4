"""The name of the executor in steps compiled by kfp 2.0."""

from kfp.dsl.executor import main

if __name__ == '__main__':
    main()
