//! JSON documents, in every format.
#![no_main]

use regreen_parsers::Format;
use regreen_parsers::Stream;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for format in Format::ALL {
        regreen_parsers_fuzz::check(format, Stream::File("report.json"), data);
    }
});
