// Appends the lines of the standard input to a topic, and ends when all of them are durable. A topic that is not there is
// made, with one partition or as many as are named.
//
//     producer STORE TOPIC [PARTITIONS] < lines
#include <array>
#include <iostream>
#include <string>

#include <thalweg.hpp>

int main(int count, char **arguments) try {
    if (count != 3 && count != 4) {
        std::cerr << "usage: " << arguments[0] << " STORE TOPIC [PARTITIONS] < lines\n";
        return 2;
    }
    thalweg::engine engine(arguments[1]);
    const auto partitions = count == 4 ? static_cast<std::uint32_t>(std::stoul(arguments[3])) : 1;
    auto topic = engine.open_or_create_topic(arguments[2], thalweg::topic_options(partitions));
    thalweg::completion_queue queue;
    std::array<thalweg_completion, 256> done;
    std::size_t submitted = 0, durable = 0;
    const auto take = [&] {
        const auto taken = queue.wait(done.data(), done.size());
        for (std::size_t i = 0; i < taken; i++) {
            if (const auto why = queue.failure(done[i])) throw *why;
            durable += done[i].status == THALWEG_OK;
        }
    };
    // A line for which there is no room has a completion, too, when there is some.
    const auto options = thalweg::append_options().with_notify();
    for (std::string line; std::getline(std::cin, line); submitted++)
        while (!topic.submit(line, queue, submitted, THALWEG_PARTITION_ROUND_ROBIN, options)) take();
    while (durable < submitted) take();
    std::cout << durable << " lines are durable\n";
    engine.close();
} catch (const std::exception &failure) {
    std::cerr << failure.what() << '\n';
    return 1;
}
