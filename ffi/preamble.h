/*
 * Thalweg: an embedded stream storage engine. Topics of partitioned, append-only, durable logs, with consumers, inside
 * your program. This is its C interface; thalweg.hpp beside it wraps it for C++17. docs/ABI.md says more,
 * docs/GLOSSARY.md what the words mean, docs/METRICS.md what is counted; share/doc/thalweg has them where the library is
 * installed, and examples.
 *
 * Made by cbindgen from the sources of the library: do not edit. `make header` makes it anew.
 *
 * CONVENTIONS
 *
 * Answers.  A call that can fail answers a thalweg_status: THALWEG_OK (0), or why it did nothing. Comments name the
 * statuses without their prefix. The numbers never change their meaning, and more may come.
 *
 * Errors.  The last argument of such a call is a thalweg_error of the caller, or NULL. On failure it gets the status,
 * the operating system's error number, the offsets that are damaged, and a sentence to show. Nothing is kept by the
 * library, and nothing by thread. Prepare it once with thalweg_error_init; a call that succeeds leaves it as it is.
 *
 *     thalweg_error error;
 *     thalweg_error_init(&error, sizeof error);
 *     if (thalweg_engine_open("store", NULL, &engine, &error) != THALWEG_OK)
 *         fprintf(stderr, "%s\n", error.message);
 *
 * Arguments.  Inputs come first, outputs last. Outputs are written only if the call answers OK. What a pointer among the
 * inputs leads to is read during the call and never after it. Pointers have to be aligned as their type asks for.
 *
 * Handles.  A handle (thalweg_engine *, thalweg_topic *, ...) is a number in the shape of a pointer: it is not the address
 * of anything. Passing one that is closed answers CLOSED; NULL, one of another kind and one that is made up answer
 * INVALID_ARGUMENT; one that came from before a fork answers FORKED in the child. A number is never used twice. Who opens
 * a handle closes it, once, whatever became of its parent; calls that close or release accept NULL. A call that closes
 * a handle lets calls that other threads are in go on to their end.
 *
 * Threads.  "Any thread" means: any number of them at once. "One thread at a time" means: from any thread, and a call beside
 * another answers WOULD_BLOCK.
 *
 * Blocking.  A call that "does not block" never waits for the device, for memory or for records; it may wait for a moment
 * for another thread that is in the same few instructions. A time-out is in ms: negative is without end.
 *
 * Structs.  One that begins with its own size may grow at its end. Make each ready with its init call, or all zero and
 * size = sizeof. In options zero means the default; what a later version has added must be zero for an earlier library,
 * else the answer is UNSUPPORTED. Structs without a size, and entries of arrays, never change and have no init call: all
 * zeros is one that is ready, and those that are only filled need nothing.
 *
 * Lists.  A call that fills an array writes as many entries as capacity allows, and always tells how many there are; with
 * capacity 0 the array may be NULL.
 *
 * Panics.  A bug inside the library answers PANIC, says more on the standard error output, and shuts the handle for
 * everything but closing.
 *
 * Forks.  In a forked child the memory of batches is not there: do not look at their views. Copy before the fork what the
 * child is to have.
 *
 * The library installs no signal handler and no exit handler, reads no environment variable, and logs nothing. Several
 * engines may be open in one process. THALWEG_VERSION_MAJOR and its like are the version of this header;
 * thalweg_version_number() tells which library is loaded.
 */
