//! Text in the format `generic`.
#![no_main]

use regreen_parsers::Format;
use regreen_parsers::Stream;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    regreen_parsers_fuzz::check(Format::Generic, Stream::Log, data);
});
