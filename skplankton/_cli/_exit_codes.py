"""What the commands return to the shell."""

DONE = 0
FAILED = 1
USAGE = 2  # argparse's own
PROBLEMS = 3
INTERRUPTED = 130  # as shells have it: 128 + SIGINT
TERMINATED = 143  # 128 + SIGTERM

MEANINGS = {
    DONE: "all done",
    FAILED: "an error: a message says what is wrong and what to do",
    USAGE: "the command line was not understood",
    PROBLEMS: "done, but something in the files could not be read; a report says what",
    INTERRUPTED: "interrupted with Ctrl-C",
    TERMINATED: "stopped by SIGTERM, as batch systems and kill send it",
}
