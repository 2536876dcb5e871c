/* Two copies of the library in one process: the static one, and the shared one that is the argument. Each refuses the
   handles of the other. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "thalweg.h"

#define CHECK(condition)                                                  \
    do {                                                                  \
        if (!(condition)) {                                               \
            fprintf(stderr, "%s:%d: not: %s\n", __FILE__, __LINE__, #condition); \
            _Exit(1);                                                     \
        }                                                                 \
    } while (0)

#define QUEUES 100

typedef thalweg_status (*open_call)(size_t capacity, thalweg_completion_queue **queue, thalweg_error *error);
typedef thalweg_status (*close_call)(thalweg_completion_queue *queue, thalweg_error *error);

int main(int argc, char **argv) {
    CHECK(argc == 2);
    void *shared = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    CHECK(shared != NULL);
    open_call shared_open;
    close_call shared_close;
    *(void **)&shared_open = dlsym(shared, "thalweg_completion_queue_open");
    *(void **)&shared_close = dlsym(shared, "thalweg_completion_queue_close");
    CHECK(shared_open != NULL && shared_close != NULL);
    CHECK(shared_open != thalweg_completion_queue_open);
    thalweg_completion_queue *theirs[QUEUES], *ours[QUEUES];
    for (int i = 0; i < QUEUES; i++) {
        CHECK(shared_open(0, &theirs[i], NULL) == THALWEG_OK);
        CHECK(thalweg_completion_queue_open(0, &ours[i], NULL) == THALWEG_OK);
    }
    for (int i = 0; i < QUEUES; i++) {
        CHECK(theirs[i] != ours[i]);
        CHECK(thalweg_completion_queue_close(theirs[i], NULL) == THALWEG_INVALID_ARGUMENT);
        CHECK(shared_close(ours[i], NULL) == THALWEG_INVALID_ARGUMENT);
    }
    for (int i = 0; i < QUEUES; i++) {
        CHECK(shared_close(theirs[i], NULL) == THALWEG_OK);
        CHECK(thalweg_completion_queue_close(ours[i], NULL) == THALWEG_OK);
    }
    return 0;
}
