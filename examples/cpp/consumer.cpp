// Reads a topic in an epoll loop, prints the records, and commits how far it is under a name. Ends when nothing has come
// for a second.
//
//     consumer STORE TOPIC NAME
#include <cerrno>
#include <iostream>
#include <sys/epoll.h>
#include <unistd.h>

#include <thalweg.hpp>

int main(int count, char **arguments) try {
    if (count != 4) {
        std::cerr << "usage: " << arguments[0] << " STORE TOPIC NAME\n";
        return 2;
    }
    thalweg::engine engine(arguments[1], thalweg::engine_options().with_no_create());
    auto consumer = engine.consumer(arguments[3]);
    consumer.subscribe(engine.open_topic(arguments[2]));
    const int loop = epoll_create1(EPOLL_CLOEXEC);
    epoll_event watched{};
    watched.events = EPOLLIN;
    if (loop < 0 || epoll_ctl(loop, EPOLL_CTL_ADD, consumer.eventfd(), &watched) != 0) return 1;
    for (;;) {
        epoll_event ready;
        const int count = epoll_wait(loop, &ready, 1, 1000);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) break;
        while (const auto batch = consumer.poll())
            for (const auto record : *batch)
                std::cout << batch->topic() << ' ' << batch->partition() << ' ' << record.offset() << ": "
                          << record.value() << '\n';
        // Handled, and only now committed: what is not comes again.
        if (!std::cout.flush()) return 1;
        consumer.commit();
    }
    close(loop);
    engine.close();
} catch (const std::exception &failure) {
    std::cerr << failure.what() << '\n';
    return 1;
}
