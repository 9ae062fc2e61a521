# SPDX-License-Identifier: BSD-3-Clause
"""A Python that has done its imports: a server forks for each program that it runs.

A program still has a process, arguments, an environment and files of its own; only the
second or more that imports take is spent once, and not for every program.
"""

import atexit
import contextlib
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from importlib import import_module


@contextlib.contextmanager
def forking_python(
    *modules: str, options: Sequence[str] = (), **environment: str
) -> Iterator[list[str]]:
    """Yield a command to be used in place of ``python``, that has imported modules.

    It takes ``-m module …`` or ``script …``. Where there is no safe ``fork``, it is an
    ordinary Python.
    """
    plain = [sys.executable, *options]
    if sys.platform != "linux":
        yield plain
        return
    with tempfile.TemporaryDirectory() as folder:
        address = f"{folder}/socket"
        with subprocess.Popen(
            [*plain, __file__, "serve", address, *modules],
            env=os.environ | environment,
            stdout=subprocess.PIPE,
        ) as server:
            try:
                assert server.stdout.readline() == b"ready\n"
                yield [sys.executable, "-IS", __file__, "run", address]
            finally:
                server.terminate()


def serve(address: str, *modules: str) -> None:
    """Import modules, and run a program for each client."""
    for name in modules:
        module = import_module(name)
        for public in getattr(module, "__all__", ()):
            getattr(module, public)  # some import their parts when they are asked for
    gc.freeze()  # else every program would look for garbage among all of this
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a child
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        os.write(1, b"ready\n")
        while True:
            client, _ = listener.accept()
            if os.fork() == 0:
                break
            client.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, files, _, _ = socket.recv_fds(client, 1, 3)
    with client.makefile("rb") as request:
        arguments, folder, environment = json.load(request)
    program = os.fork()
    if program:
        _, status = os.waitpid(program, 0)
        client.sendall(b"%d" % os.waitstatus_to_exitcode(status))
        os._exit(0)
    client.close()
    for number, (file, name) in enumerate(
        zip(files, ("stdin", "stdout", "stderr"), strict=True)
    ):
        os.dup2(file, number)
        os.close(file)
        old = getattr(sys, name)
        options = {"encoding": old.encoding, "errors": old.errors}
        options["buffering"] = 1 if name == "stderr" else -1
        setattr(sys, name, open(number, old.mode, **options))  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    try:
        if arguments[0] == "-m":
            sys.argv, sys.path[0] = arguments[1:], folder
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv, sys.path[0] = arguments, os.path.dirname(arguments[0])
            runpy.run_path(arguments[0], run_name="__main__")
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(bool(error.code))
        if isinstance(error.code, str):
            sys.stderr.write(f"{error.code}\n")
    except BaseException:
        traceback.print_exc()
        status = 1
    # An ordinary end would take longer than the program: it frees all that was imported.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def run(address: str, *arguments: str) -> None:
    """Have a program run with the files, folder and environment of this process."""
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        socket.send_fds(server, [b" "], [0, 1, 2])
        server.sendall(json.dumps([arguments, os.getcwd(), dict(os.environ)]).encode())
        server.shutdown(socket.SHUT_WR)
        status = int(server.recv(16) or 1)
    sys.exit(status if status >= 0 else 128 - status)


if __name__ == "__main__":
    {"serve": serve, "run": run}[sys.argv[1]](*sys.argv[2:])
