"""The warm process of a Python environment: it imports what the environment's steps
import, and forks a process for each of them.

The node helper runs this file, by its path and outside `__main__`, with a socket as
file 3, and speaks to it in messages whose fields end in a zero byte:

    helper   load, sandbox, capabilities, last capability, module, statements…   once
    warm     loading, statement                before each, by its number
    warm     ready | refused, statement, why | hopeless, why
    helper   spare, with a socket as file      a process is wanted for a task to come

A spare has namespaces of its own where there is a sandbox; its first process (1) waits
on its socket, and forks the task when it is told what that is:

    spare    here, with its mount namespace as file
    helper   task, with files: its description, its output, control groups to enter
    helper   signal, number                    and then kForwardSignal, to be seen
    spare    took                              once, before the task is forked
    spare    ended, wait status | failed, step, name, errno

Where there is no sandbox the spare becomes the task, as a child of the helper. Nothing
of the task's can be written here: what it does, it does to its own copy. Whatever would
be another program than an ordinary start makes becomes one by such a start.
"""

import ctypes
import gc
import importlib.machinery
import importlib.util
import os
import runpy
import signal
import sys

import _socket

CONTROL = 3
SUFFIXES = importlib.machinery.all_suffixes()
FORWARD = 42
LOAD_SECONDS = 120
LOAD_BYTES = 2 << 30  # of memory of its own, while it imports
NEW_NAMESPACES = 0x10000000 | 0x00020000 | 0x20000000 | 0x08000000  # user, mounts, pids, ipc
MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8
SYS_CLOSE_RANGE = 436
SYS_CLONE = {'x86_64': 56, 'aarch64': 220}.get(os.uname().machine)
CLONE_PARENT = 0x00008000
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP = 1, 4, 24

libc = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):
    """A statement whose effect could not be had by importing it here."""


def check(result, what):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f'{what}: {os.strerror(error)}')


def send(channel, *fields, files=()):
    data = b'\0'.join(f if isinstance(f, bytes) else str(f).encode() for f in fields)
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, b''.join(f.to_bytes(4, sys.byteorder) for f in files))]
    channel.sendmsg([data], rights if files else [])


def receive(channel, flags=0, size=4096):
    """(fields, files); no fields when the other end is gone."""
    data, rights, _, _ = channel.recvmsg(size, 256, flags | _socket.MSG_CMSG_CLOEXEC)
    files = []
    for level, kind, content in rights:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            files += [int.from_bytes(content[i:i + 4], sys.byteorder) for i in range(0, len(content) - 3, 4)]
    return (data.split(b'\0') if data else []), files


def adopt(file):
    os.set_inheritable(file, False)
    return _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, file)


# Loading

def open_files():
    return set(os.listdir('/proc/self/fd'))


def state():
    """What an import may not change without being noticed by a step that does not ask for it."""
    handlers = [signal.getsignal(n) for n in range(1, 32)]
    return (list(sys.path), os.getcwd(), handlers, sys.excepthook, sys.stdout, sys.stderr, sys.stdin)


def threads():
    return len(os.listdir('/proc/self/task'))


def check_threads():
    """A fork copies one thread only. Some libraries end theirs for that time."""
    if threads() == 1:
        return
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    if threads() != 1:
        raise Refused('it starts threads')


def run_statement(statement, printed):
    before, files = state(), open_files()
    try:
        exec(statement, {'__name__': 'penstock_warm_import'})
    except ImportError:
        if not can_be_found(statement):
            return
        raise
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fstat(printed).st_size:
        raise Refused('it prints: ' + os.pread(printed, 200, 0).decode(errors='replace'))
    if state() != before:
        raise Refused('it changes settings of the interpreter')
    # What is only closed by a collection is not to be waited for.
    if not open_files() <= files:
        gc.collect()
        if not open_files() <= files:
            raise Refused('it keeps files open')
    check_threads()


def can_be_found(statement):
    name = statement.split()[1].partition('.')[0]
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError, AttributeError):
        return False


def statements_of_module(name):
    """Statements that import what a module imports, and not itself: it is to be run as __main__."""
    parent = name.rpartition('.')[0]
    found = ['import ' + parent] if parent else []
    spec = importlib.util.find_spec(name)
    with open(spec.origin, encoding='utf-8') as source:
        for line in source:
            words = line.partition('#')[0].strip()
            if line.startswith(('import ', 'from ')) and '(' not in words and not words.startswith('from .'):
                found.append(words)
    return found


def load(control, fields):
    """Runs the statements, or says which one cannot be."""
    module, statements = os.fsdecode(fields[0]), [os.fsdecode(s) for s in fields[1:]]
    printed = os.memfd_create('printed', os.MFD_CLOEXEC)
    kept = os.dup(1), os.dup(2)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    limits = limit_memory()
    signal.alarm(LOAD_SECONDS)
    try:
        if module:
            for statement in statements_of_module(module):
                run_statement(statement, printed)
        for index, statement in enumerate(statements):
            send(control, 'loading', index)
            try:
                run_statement(statement, printed)
            except BaseException as error:  # a package may do what it likes, SystemExit included
                return 'refused', index, f'{type(error).__name__}: {error}'
    except BaseException as error:
        return 'hopeless', f'{type(error).__name__}: {error}'
    finally:
        signal.alarm(0)
        if limits:
            import resource
            resource.setrlimit(resource.RLIMIT_DATA, limits)
        for file, copy in zip((1, 2), kept):
            os.dup2(copy, file)
            os.close(copy)
        os.close(printed)
    return ('ready',)


def limit_memory():
    try:
        import resource
    except ImportError:
        return None
    limits = resource.getrlimit(resource.RLIMIT_DATA)
    hard = limits[1]
    if hard == resource.RLIM_INFINITY or hard > LOAD_BYTES:
        resource.setrlimit(resource.RLIMIT_DATA, (LOAD_BYTES, hard))
    return limits


# Spares

def map_users(pid):
    """All users that are known here are known there, under the same numbers."""
    for name in ('uid_map', 'gid_map'):
        with open('/proc/self/' + name) as own:
            lines = [line.split() for line in own]
        with open(f'/proc/{pid}/{name}', 'w') as file:
            file.write(''.join(f'{inside} {inside} {count}\n' for inside, _, count in lines))


def fork_sandboxed(control, channel):
    """In the first process of new namespaces: True. In this one: False.

    A bare clone, as nothing but a fork, which repairs what a clone leaves out, comes after it
    there; and this process, which has one thread, owes it nothing. The child is the init's.
    """
    own, other = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    pid = libc.syscall(SYS_CLONE, ctypes.c_ulong(CLONE_PARENT | NEW_NAMESPACES | signal.SIGCHLD), None, None, None, None)
    if pid == 0:
        control.close()
        own.close()
        if other.recv(1) != b'.':
            os._exit(1)
        other.close()
        return True
    other.close()
    channel.close()
    try:
        check(0 if pid > 0 else -1, 'new namespaces')
        map_users(pid)
        own.send(b'.')
    except OSError as error:
        sys.stderr.write(f'{error}\n')
    own.close()
    return False


def fork_plain(control, channel):
    """The same where there is no sandbox: a child of the helper, which takes in orphans."""
    between = os.fork()
    if between == 0:
        control.close()
        between = os.getpid()
        if os.fork() != 0:
            os._exit(0)
        while os.getppid() == between:
            os.sched_yield()
        return True
    channel.close()
    os.waitpid(between, 0)
    return False


def drop_capabilities(keep, last):
    for number in range(last + 1):
        if not keep >> number & 1:
            libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    for half in range(2):
        data[3 * half] = data[3 * half + 1] = keep >> 32 * half & 0xffffffff
    check(libc.capset(header, data), 'drop capabilities')


def await_task(channel, sandbox, keep, last):
    """Says that the spare is there, and waits for what it is to be."""
    files = []
    if sandbox:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        check(libc.mount(b'proc', b'/proc', b'proc', MS_NOSUID | MS_NODEV | MS_NOEXEC, None), 'mount /proc')
        check(libc.mount(b'shm', b'/dev/shm', b'tmpfs', MS_NOSUID | MS_NODEV, b'mode=1777'), 'mount /dev/shm')
        files.append(os.open('/proc/self/ns/mnt', os.O_RDONLY | os.O_CLOEXEC))
        drop_capabilities(keep, last)
        libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    else:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    send(channel, 'here', files=files)
    for file in files:
        os.close(file)
    fields, files = receive(channel)
    if not fields:
        os._exit(0)
    return Task(files)


class Task:
    """What a spare is to become."""

    def __init__(self, files):
        self.description, self.output, *self.groups = files
        with open(self.description, 'rb') as file:
            fields = file.read().split(b'\0')
        self.cwd, self.nice = fields[0], int(fields[1])
        count = int(fields[2])
        self.argv = [os.fsdecode(a) for a in fields[3:3 + count]]
        self.environment = dict(e.split(b'=', 1) for e in fields[3 + count:] if b'=' in e)

    def become(self):
        """From here on this is the task's process."""
        os.setsid()
        for group in self.groups:
            os.write(group, b'0')
        if self.nice:
            os.nice(self.nice)
        os.dup2(self.output, 1)
        os.dup2(self.output, 2)
        if libc.syscall(SYS_CLOSE_RANGE, 3, ctypes.c_ulong(0xffffffff), 0) != 0:
            os.closerange(3, 1 << 16)
        try:
            os.chdir(self.cwd)
        except OSError as error:
            sys.stderr.write(f'change to the folder "{os.fsdecode(self.cwd)}": {error.strerror}\n')
            os._exit(126)
        libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())


def fork_task(channel, task):
    """In the task: returns. In process 1: waits for its end, and does not return."""
    try:
        os.chdir(task.cwd)
    except OSError as error:
        send(channel, 'failed', 'change to the folder', task.cwd, error.errno)
        os._exit(0)
    send(channel, 'took')
    child = os.fork()
    if child == 0:
        return
    for file in (task.output, *task.groups, 0, 1, 2):
        os.close(file)
    awaited = {signal.SIGCHLD, FORWARD}
    status = None
    while status is None:
        if signal.sigwaitinfo(awaited).si_signo == FORWARD:
            forward_signals(channel)
        status = reap(child)
    try:
        os.kill(-1, signal.SIGKILL)
        while True:
            os.waitpid(-1, 0)
    except OSError:  # nobody is left
        pass
    send(channel, 'ended', status)
    os._exit(0)


def reap(child):
    """Takes in what has ended; the task's wait status if it is among that."""
    status = None
    while True:
        try:
            pid, found = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == child:
            status = found
        if pid == 0:
            return status


def forward_signals(channel):
    try:
        while True:
            fields, _ = receive(channel, _socket.MSG_DONTWAIT)
            if not fields:
                return
            os.kill(-1, int(fields[1]))
    except OSError:
        return


# The task

def differs(task, known):
    """Whether an ordinary start would find other modules than this process has."""
    first = os.path.dirname(os.path.realpath(task.argv[2])) if task.argv[1] == '-u' else os.getcwd()
    for name in os.listdir(first):
        stem, dot, rest = name.partition('.')
        if stem in known and (dot + rest in SUFFIXES if dot else any(
                os.path.exists(os.path.join(first, name, '__init__' + suffix)) for suffix in SUFFIXES)):
            return True
    home = task.environment.get(b'HOME', b'')
    user_site = os.fsdecode(home) + '/.local/lib/python{}.{}/site-packages'.format(*sys.version_info)
    return user_site not in sys.path and os.path.isdir(user_site)


def set_environment(task, base):
    """The task's own variables. What imports have set stays, as if they had been made now."""
    for name, value in task.environment.items():
        if base.get(name) != value:
            os.environb[name] = value
    for name, value in base.items():
        if name not in task.environment and os.environb.get(name) == value:
            del os.environb[name]
    if b'PENSTOCK_PROCESS' in task.environment:
        overwrite_environ(b'PENSTOCK_PROCESS', task.environment[b'PENSTOCK_PROCESS'])


def overwrite_environ(name, value):
    """Where the kernel shows the environment that a process was started with: plain processes are known by it."""
    with open('/proc/self/stat', 'rb') as file:
        begin, end = (int(n) for n in file.read().rpartition(b')')[2].split()[47:49])
    for entry in ctypes.string_at(begin, end - begin).split(b'\0'):
        if entry.startswith(name + b'='):
            room = len(entry) - len(name) - 1
            if len(value) <= room:
                ctypes.memmove(begin + len(name) + 1, value + b'\0' * (room - len(value)), room)
            return
        begin += len(entry) + 1


def renew(base):
    """What must not be alike in two tasks."""
    modules = sys.modules
    if 'numpy.random' in modules:
        modules['numpy.random'].seed()
    if 'tempfile' in modules:
        modules['tempfile'].tempdir = None
        modules['tempfile']._name_sequence = None
    if '_ssl' in modules:
        # OpenSSL tells a fork by the process id, which here is the same in every namespace.
        modules['_ssl'].RAND_add(os.urandom(32), 32)
    if 'multiprocessing.process' in modules:
        process = modules['multiprocessing.process']
        process.current_process()._config['authkey'] = process.AuthenticationString(os.urandom(32))
    if 'site' in modules and os.environb.get(b'HOME') != base.get(b'HOME'):
        modules['site'].USER_BASE = modules['site'].USER_SITE = None
        modules['site'].getusersitepackages()


def without_own_frames(trace):
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace


def run_script(path):
    """As `python3 -u path` does."""
    main = sys.modules['__main__'].__dict__
    main.update(__file__=path, __cached__=None, __loader__=importlib.machinery.SourceFileLoader('__main__', path))
    with open(path, 'rb') as file:
        code = compile(file.read(), path, 'exec', dont_inherit=True)
    exec(code, main)


def run(task):
    """Runs the task's program; returns or raises SystemExit when the process is to end as Python ends."""
    gc.enable()
    sys.argv = task.argv[2:]
    if hasattr(sys, 'orig_argv'):
        sys.orig_argv[:] = task.argv
    try:
        if task.argv[1] == '-m':
            sys.path.insert(0, os.getcwd())
            runpy._run_module_as_main(task.argv[2])
        else:
            sys.path.insert(0, os.path.dirname(os.path.realpath(task.argv[2])))
            run_script(task.argv[2])
    except SystemExit:
        raise
    except BaseException as error:
        error.__traceback__ = without_own_frames(error.__traceback__)
        sys.excepthook(type(error), error, error.__traceback__)
        sys.exit(130 if isinstance(error, KeyboardInterrupt) else 1)


def leave(loaded):
    """Ends as Python does, but for taking apart what was there before the program; or returns,
    when that is not all there is to do."""
    # Those of libraries, such as OpenBLAS', end with the process.
    if len(sys._current_frames()) != 1:
        return
    own = [sys.modules['__main__']]
    standard = os.path.dirname(os.__file__) + os.sep
    for name in set(sys.modules) - loaded:
        file = getattr(sys.modules[name], '__file__', None)
        if name in sys.builtin_module_names:
            continue
        if file is None or '-packages' in file:
            return
        if not file.startswith(standard):
            own.append(sys.modules[name])
    if 'threading' in sys.modules:
        sys.modules['threading']._shutdown()
    import atexit
    atexit._run_exitfuncs()
    for module in own:
        names = vars(module)
        for name in [name for name in names if name != '__builtins__']:
            names[name] = None
    del module, names
    gc.collect()  # closes what the program left open
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        os._exit(120)
    libc.fflush(None)
    os._exit(0)


def main():
    control = adopt(CONTROL)
    gc.disable()
    if '' in sys.path:
        sys.path.remove('')  # the folder that it was started in is nobody's
    fields, _ = receive(control, size=1 << 17)
    sandbox, keep, last = fields[1] == b'1', int(fields[2]), int(fields[3])
    base = dict(os.environb)
    answer = load(control, fields[4:])
    send(control, *answer)
    if answer[0] != 'ready':
        return
    known = {name.partition('.')[0] for name in sys.modules}
    gc.collect()
    gc.freeze()
    fork = fork_sandboxed if sandbox else fork_plain
    while True:
        fields, files = receive(control)
        if not fields:
            return
        channel = adopt(files[0])
        if fork(control, channel):
            break
    task = await_task(channel, sandbox, keep, last)
    if sandbox:
        fork_task(channel, task)
    channel.detach()
    task.become()
    if differs(task, known):
        os.execve(task.argv[0], task.argv, task.environment)
    set_environment(task, base)
    renew(base)
    loaded = set(sys.modules)
    try:
        run(task)
        leave(loaded)
    finally:
        gc.unfreeze()  # all is taken apart as usual


main()
