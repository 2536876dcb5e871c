// The C++ layer: what it owns it closes, what it answers is what C answers.
#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "thalweg.hpp"

#define CHECK(condition)                                                          \
    do {                                                                          \
        if (!(condition)) {                                                       \
            std::fprintf(stderr, "%s:%d: not: %s\n", __FILE__, __LINE__, #condition); \
            std::_Exit(1);                                                        \
        }                                                                         \
    } while (0)

template <typename Call> thalweg_status thrown(Call call) {
    try {
        call();
    } catch (const thalweg::error &error) {
        CHECK(error.what()[0] != 0);
        return error.status();
    }
    return THALWEG_OK;
}

static thalweg::engine_options small() {
    thalweg::engine_options options;
    options.memory_budget = 64 << 20;
    options.shards = 1;
    if (std::getenv("THALWEG_TEST_POSIX") != nullptr) options.runtime = THALWEG_RUNTIME_POSIX;
    return options;
}

static void appends_and_reads(thalweg::engine &engine) {
    auto topic = engine.create_topic("orders", thalweg::topic_options(2));
    CHECK(thrown([&] { engine.create_topic("orders"); }) == THALWEG_ALREADY_EXISTS);
    CHECK(thrown([&] { engine.open_topic("nothing"); }) == THALWEG_NOT_FOUND);
    const std::vector<thalweg::header> headers = {{"trace", "4bf9"}, thalweg::header("flag")};
    auto full = thalweg::record("two lamps").with_key("ann").with_timestamp(7).with_headers(headers);
    const auto options = thalweg::append_options().with_term(3).with_expected_offset(0);
    CHECK(topic.append(full, 1, std::nullopt, &options)->base_offset == 0);
    CHECK(thrown([&] { topic.append(full, 1, std::nullopt, &options); }) == THALWEG_OFFSET_MISMATCH);
    CHECK(topic.append({thalweg::record("a"), thalweg::record(std::string_view("b\0c", 3))}, 1)->count == 2);
    CHECK(topic.partition_of("ann") < 2 && topic.next_offset(1) == 3 && topic.partitions().size() == 2);
    CHECK(topic.describe().partitions == 2 && engine.topics().size() == 1);

    auto batch = topic.read(1, 0);
    CHECK(batch && batch->size() >= 1 && batch->partition() == 1 && std::string_view(batch->topic()) == "orders");
    const auto first = (*batch)[0];
    CHECK(first.key() == "ann" && first.value() == "two lamps" && first.timestamp() == 7 && first.header_count() == 2);
    CHECK(batch->header(0, 0).first == "trace" && batch->header(0, 0).second == "4bf9");
    CHECK(!batch->header(0, 1).second && batch->term(0) == 3 && batch->append_time(0) > 0);
    CHECK(thrown([&] { batch->header(0, 2); }) == THALWEG_NOT_FOUND);
    thalweg::batch shared = batch->share();
    batch.reset();
    CHECK(shared[0].value() == "two lamps");
    thalweg::batch moved = std::move(shared);
    CHECK(!shared && moved[0].value() == "two lamps");
    moved = thalweg::batch();
    CHECK(!topic.read(1, 3) && thrown([&] { topic.read(1, 4); }) == THALWEG_OUT_OF_RANGE);

    auto reader = topic.reader(1);
    std::vector<std::string> values;
    while (const auto next = reader.next(1 << 20, thalweg::milliseconds(0)))
        for (const auto record : *next) values.emplace_back(record.value());
    CHECK(values.size() == 3 && values[2] == std::string("b\0c", 3) && reader.offset() == 3);
    reader.seek(thalweg::start::offset(1));
    CHECK(reader.next()->begin() != thalweg::batch().begin() && reader.offset() > 1);
    topic.truncate_before(1, 1);
    topic.truncate_after(1, topic.next_offset(1));
    topic.add_partitions(3);
    CHECK(topic.partitions()[1].log_start == 1);
}

static void completions(thalweg::engine &engine) {
    auto topic = engine.open_topic("orders");
    thalweg::completion_queue queue(16);
    thalweg_completion done[16];
    CHECK(queue.poll(done, 16) == 0 && queue.eventfd() >= 0);
    std::size_t submitted = 0, durable = 0;
    while (submitted < 100) {
        if (topic.submit(thalweg::record("x"), queue, submitted, 0)) submitted++;
        else durable += queue.wait(done, 16, thalweg::milliseconds(1));
    }
    while (durable < submitted) durable += queue.wait(done, 16);
    CHECK(queue.under_way() == 0 && queue.wait(done, 16) == 0 && topic.next_offset(0) == 100);
}

static void consumers(thalweg::engine &engine) {
    auto topic = engine.open_topic("orders");
    {
        auto consumer = engine.consumer(thalweg::consumer_options("billing"));
        CHECK(thrown([&] { engine.consumer(thalweg::consumer_options("billing")); }) == THALWEG_ALREADY_OPEN);
        consumer.subscribe(topic);
        CHECK(consumer.eventfd() >= 0 && consumer.lag() == 102);
        std::size_t count = 0;
        while (const auto batch = consumer.wait(1 << 20, thalweg::milliseconds(0))) count += batch->size();
        CHECK(count == 102 && !consumer.poll());
        consumer.commit();
        CHECK(consumer.positions().size() == 3 && consumer.positions()[0].committed == 100);
        consumer.seek(topic, 0, thalweg::start::offset(99));
        CHECK(consumer.wait()->size() == 1);
        consumer.seek_all(thalweg::start::latest());
        std::thread waker([&] { consumer.wakeup(); });
        CHECK(!consumer.wait());
        waker.join();
        thalweg_position position{};
        position.topic = topic.get();
        position.offset = 50;
        consumer.commit({position});
        consumer.unsubscribe(topic);
    }
    auto consumer = engine.consumer(thalweg::consumer_options("billing"));
    consumer.assign(topic, 0);
    CHECK((*consumer.wait(1))[0].offset() == 50);
}

static void the_rest(thalweg::engine &engine) {
    auto topic = engine.open_topic("orders");
    auto values = engine.key_values(topic);
    CHECK(!values.get_value("vote"));
    values.put("vote", "node-2");
    values.write({{thalweg::detail::bytes("term"), thalweg::detail::bytes("7")}});
    CHECK(*values.get_value("vote") == "node-2" && values.list().size() == 2);
    values.erase("vote");
    CHECK(!values.get_value("vote") && (*values.list("t").begin()).value() == "7");
    auto events = engine.events();
    CHECK(events.poll() && events.eventfd() >= 0 && events.dropped() == 0);
    while (events.poll()) continue;
    CHECK(engine.info().shards == 1 && engine.metrics().appends > 100);
    CHECK(engine.metrics_json().front() == '{' && engine.metrics_json().back() == '}');
    CHECK(engine.metrics_prometheus().find("thalweg_") != std::string::npos);
    const auto [report, damaged] = engine.verify();
    CHECK(report.records > 100 && damaged.empty());
    engine.delete_topic("orders");
    CHECK(thrown([&] { topic.describe(); }) == THALWEG_DELETED);
}

int main() {
    char place[] = "/tmp/thalweg-cpp-XXXXXX";
    CHECK(mkdtemp(place) != nullptr);
    {
        thalweg::engine engine(place, small());
        CHECK(thrown([&] { thalweg::engine second(place, small()); }) == THALWEG_ALREADY_OPEN);
        appends_and_reads(engine);
        completions(engine);
        consumers(engine);
        the_rest(engine);
        auto topic = engine.create_topic("late");
        engine.close();
        CHECK(!engine && thrown([&] { topic.append(thalweg::record("x")); }) == THALWEG_CLOSED);
    }
    // Whoever does not close is closed.
    { thalweg::engine engine(place, small()); }
    thalweg::engine(place, small()).close();
    std::filesystem::remove_all(place);
    std::puts("1 passed, 0 failed, 0 skipped");
}
