//! Text in the format `prove`.
#![no_main]

use regreen_parsers::Format;
use regreen_parsers::Stream;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    regreen_parsers_fuzz::check(Format::Prove, Stream::Log, data);
});
