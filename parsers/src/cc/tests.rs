//! What gcc, clang, ld, lld, CMake, make and ninja really print.

use super::*;

fn read(log: &str) -> Found {
    let context = Context::rooted("/p");
    let mut reader = Reader::default();
    for line in log.lines() {
        let seen = Seen {
            bytes: line.as_bytes(),
            length: line.len() as u64 + 1,
            unfinished: false,
        };
        reader.line(&seen, &context);
    }
    reader.finish(&context)
}

fn ids(found: &Found) -> Vec<&str> {
    found.failures.iter().map(|f| f.id.as_str()).collect()
}

#[test]
fn an_error_is_told_with_its_notes_and_fixes() {
    let found = read(
        "In file included from a.cc:1:
h.h: In function ‘int h()’:
h.h:1:25: error: ‘zzz’ was not declared in this scope; did you mean ‘zz’?
    1 | inline int h() { return zzz; }
      |                         ^~~
      |                         zz
a.cc: In function ‘int main()’:
a.cc:12:3: error: ‘printf’ was not declared in this scope
   12 |   printf(\"x\");
      |   ^~~~~~
a.cc:4:1: note: ‘printf’ is defined in header ‘<cstdio>’
    3 | #include <list>
  +++ |+#include <cstdio>
    4 | int foo();
a.cc:13:11: error: invalid conversion from ‘const char*’ to ‘int’ [-fpermissive]
   13 |   int y = \"str\";
      |           ^~~~~
      |           |
      |           const char*
a.cc:14:7: warning: unused variable ‘y’ [-Wunused-variable]
make: *** [Makefile:2: a.o] Error 1
",
    );
    assert_eq!(
        ids(&found),
        ["h.h:1:25", "a.cc:12:3", "a.cc:13:11 -fpermissive"]
    );
    let suggestions: Vec<Option<&str>> = found
        .failures
        .iter()
        .map(|f| f.suggestion.as_deref())
        .collect();
    assert_eq!(
        suggestions,
        [Some("did you mean ‘zz’?"), Some("#include <cstdio>"), None]
    );
    assert_eq!(found.failures[0].frames.len(), 2);
    assert_eq!(found.warnings[0].code.as_deref(), Some("-Wunused-variable"));
    assert!(found.stopped);
}

#[test]
fn a_library_s_error_is_placed_where_the_user_wants_it() {
    let gcc = read("In file included from /usr/include/c++/12/algorithm:61,
                 from a.cc:2:
/usr/include/c++/12/bits/stl_algo.h: In instantiation of ‘void std::__sort(_A) [with _A = int]’:
/usr/include/c++/12/bits/stl_algo.h:4820:18:   required from ‘void std::sort(_A, _A) [with _A = int]’
a.cc:10:30:   required from here
/usr/include/c++/12/bits/stl_algo.h:1938:50: error: no match for ‘operator-’
 1938 |                                 std::__lg(__last - __first) * 2,
      |                                           ~~~~~~~^~~~~~~~~
");
    let clang = read("In file included from a.cc:2:
In file included from /usr/include/c++/12/algorithm:61:
/usr/include/c++/12/bits/stl_algo.h:1938:22: error: invalid operands to binary expression
                                std::__lg(__last - __first) * 2,
                                          ~~~~~~ ^ ~~~~~~~
a.cc:10:26: note: in instantiation of function template specialization 'std::sort<int>' requested here
  std::sort(l.begin(), l.end());
                         ^
1 error generated.
");
    for found in [gcc, clang] {
        assert_eq!(found.failures.len(), 1);
        let place = found.failures[0].location.as_ref().expect("a place");
        assert_eq!((place.file.as_str(), place.line), ("a.cc", Some(10)));
        assert!(
            found.failures[0]
                .id
                .starts_with("/usr/include/c++/12/bits/stl_algo.h:1938:")
        );
    }
}

#[test]
fn linkers_name_what_is_missing() {
    let found = read("/usr/bin/ld: CMakeFiles/l.dir/l.cc.o: warning: relocation against `var' in read-only section `.text'
/usr/bin/ld: CMakeFiles/l.dir/l.cc.o: in function `main':
l.cc:(.text+0xa): undefined reference to `foo(int)'
/usr/bin/ld: /p/l.cc:3: undefined reference to `var'
/usr/bin/ld: /p/l.cc:3: undefined reference to `var'
/usr/bin/ld: warning: creating DT_TEXTREL in a PIE
collect2: error: ld returned 1 exit status
/usr/bin/ld: cannot find -lnope: No such file or directory
collect2: error: ld returned 1 exit status
ld.lld: error: undefined symbol: bar()
>>> referenced by m.cc:4
>>>               m.o:(main)
clang: error: linker command failed with exit code 1 (use -v to see invocation)
");
    assert_eq!(
        ids(&found),
        [
            "l.cc undefined reference to `foo(int)'",
            "l.cc:3 undefined reference to `var'",
            "cannot find -lnope: No such file or directory",
            "m.cc:4 undefined symbol: bar()",
        ]
    );
    assert!(found.warnings.is_empty());
}

#[test]
fn cmake_s_blocks_have_a_place_a_message_and_a_stack() {
    let found = read(
        "CMake Warning at CMakeLists.txt:3 (message):
  careful now


CMake Error at /usr/share/cmake-3.25/Modules/FindPackageHandleStandardArgs.cmake:230 (message):
  Could NOT find ZLIB (missing: ZLIB_LIBRARY)
Call Stack (most recent call first):
  /usr/share/cmake-3.25/Modules/FindZLIB.cmake:199 (FIND_PACKAGE_HANDLE_STANDARD_ARGS)
  lib/CMakeLists.txt:5 (find_package)


CMake Error at CMakeLists.txt:9 (add_executable):
  Cannot find source file:

    nope.cc

  Tried extensions .c .C
-- Configuring incomplete, errors occurred!
CMake Error: The source directory \"/nope\" does not exist.
",
    );
    let messages: Vec<&str> = found.failures.iter().map(|f| f.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "Could NOT find ZLIB (missing: ZLIB_LIBRARY)",
            "Cannot find source file: nope.cc",
            "The source directory \"/nope\" does not exist.",
        ]
    );
    let place = found.failures[0].location.as_ref().expect("a place");
    assert_eq!(
        (place.file.as_str(), place.line),
        ("lib/CMakeLists.txt", Some(5))
    );
    assert_eq!(found.failures[0].frames.len(), 3);
    assert_eq!(found.warnings.len(), 1);
}

#[test]
fn make_counts_only_where_nothing_else_says_why() {
    let alone =
        read("make[1]: *** [Makefile:7: gen] Error 1\nmake: *** [Makefile:3: all] Error 2\n");
    assert_eq!(ids(&alone), ["Makefile:7"]);
    assert!(!alone.failures[0].kind_sure);
    let broken = read("Makefile:3: *** missing separator.  Stop.\n");
    assert_eq!(ids(&broken), ["Makefile:3"]);
    let ninja = read("FAILED: gen\nfalse\nninja: build stopped: subcommand failed.\n");
    assert_eq!(ids(&ninja), ["build"]);
    assert!(
        read("ninja: no work to do.\nmake: Nothing to be done for 'all'.\n")
            .failures
            .is_empty()
    );
}

#[test]
fn paths_start_where_make_is() {
    let found = read(
        "make[1]: Entering directory '/p/lib'
a.c:3:1: error: expected ‘;’
make[1]: Leaving directory '/p/lib'
b.c:3:1: error: expected ‘;’
../src/c.c:9:2: fatal error: c.h: No such file or directory
",
    );
    assert_eq!(ids(&found), ["lib/a.c:3:1", "b.c:3:1", "src/c.c:9:2"]);
}

#[test]
fn sentences_are_no_messages() {
    for line in [
        "12:30:01 error: not a place",
        "the error: message",
        "2026-11-20 10:00:00: error: clock",
        "note: a.c:3:1: error is far",
        "http://host:80: error: refused",
        "we have an undefined reference to something here",
    ] {
        assert!(
            read(line).failures.is_empty(),
            "{line}: {:?}",
            read(line).failures
        );
    }
}
