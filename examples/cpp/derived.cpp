// Derives one topic from another: each record of partition 0 of the source in capital letters. Every derived record carries
// the offset that it was made from, so that a process which is killed in the middle goes on where the last durable one says.
//
//     derived STORE SOURCE DERIVED
#include <algorithm>
#include <cctype>
#include <iostream>
#include <string>
#include <vector>

#include <thalweg.hpp>

namespace {

// Where to go on in the source: behind what the last derived record was made from.
std::uint64_t resume(const thalweg::topic &derived, std::uint64_t next) {
    if (next == 0) return 0;
    const auto batch = derived.read(0, next - 1, 1, std::nullopt);
    return std::stoull(std::string(batch->header(batch->size() - 1, 0).value.value())) + 1;
}

} // namespace

int main(int count, char **arguments) try {
    if (count != 4) {
        std::cerr << "usage: " << arguments[0] << " STORE SOURCE DERIVED\n";
        return 2;
    }
    thalweg::engine engine(arguments[1]);
    const auto source = engine.open_topic(arguments[2]);
    auto derived = engine.open_or_create_topic(arguments[3]);
    auto next = derived.next_offset(0);
    auto reader = source.reader(0, thalweg::start::offset(resume(derived, next)));
    std::uint64_t made = 0;
    while (const auto batch = reader.next(1 << 20, thalweg::milliseconds(0))) {
        std::vector<std::string> values, offsets;
        std::vector<std::vector<thalweg::header>> headers;
        std::vector<thalweg::record> records;
        for (const auto record : *batch) {
            std::string value(record.value());
            std::transform(value.begin(), value.end(), value.begin(), [](unsigned char c) { return std::toupper(c); });
            values.push_back(std::move(value));
            offsets.push_back(std::to_string(record.offset()));
        }
        for (const auto &offset : offsets) headers.push_back({thalweg::header("source", offset)});
        for (std::size_t i = 0; i < values.size(); i++)
            records.push_back(thalweg::record(values[i]).with_headers(headers[i]));
        // As one batch: there whole or not at all, and only if nobody else has derived meanwhile.
        const auto options = thalweg::append_options().with_expected_offset(next);
        next += derived.append(records, 0, options).count;
        made += records.size();
    }
    std::cout << made << " records derived\n";
    engine.close();
} catch (const std::exception &failure) {
    std::cerr << failure.what() << '\n';
    return 1;
}
