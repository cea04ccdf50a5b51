//! In which function of a fixture an assertion stands, where the source can be read: GoogleTest
//! does not say that it failed in `SetUp()`.

use crate::report::FailureKind;
use crate::report::Phase;

/// How many lines above an assertion its function may begin.
const FARTHEST: usize = 200;

/// What an assertion on a line is, if it stands in a fixture's set-up or tear-down.
pub(crate) fn phase(source: &str, line: u32) -> Option<(FailureKind, Phase)> {
    let lines: Vec<&str> = source.lines().take(line as usize).collect();
    if lines.len() < line as usize {
        return None;
    }
    let mut depth = 0i64;
    for text in lines.iter().rev().take(FARTHEST) {
        let code = text.split("//").next().unwrap_or(text);
        let open = code.matches('{').count() as i64;
        let close = code.matches('}').count() as i64;
        // The assertion's own line may close its function, too.
        let own = std::ptr::eq(*text, lines[lines.len() - 1]);
        depth += match own && open > 0 {
            true => open,
            false if own => 0,
            false => open - close,
        };
        if depth <= 0 {
            continue;
        }
        // This line opens what the assertion stands in.
        if let Some(found) = named(code) {
            return Some(found);
        }
        if !is_block(code.trim_start().trim_start_matches('}').trim_start()) {
            return None;
        }
        depth = 0;
    }
    None
}

/// Whether a line opens a block of a function, and not the function.
fn is_block(code: &str) -> bool {
    const WORDS: [&str; 9] = [
        "if", "for", "while", "else", "switch", "do", "try", "catch", "{",
    ];
    WORDS.iter().any(|word| {
        code.strip_prefix(word)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '(', '{']))
    })
}

fn named(code: &str) -> Option<(FailureKind, Phase)> {
    let of = |names: &[&str]| {
        names.iter().any(|name| {
            code.contains(&format!("void {name}("))
                || code.contains(&format!("::{name}()")) && !code.contains(';')
        })
    };
    if of(&["SetUp", "SetUpTestSuite", "SetUpTestCase"]) {
        return Some((FailureKind::SetupError, Phase::Setup));
    }
    of(&["TearDown", "TearDownTestSuite", "TearDownTestCase"])
        .then_some((FailureKind::TeardownError, Phase::Teardown))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "class F : public Test {
  void SetUp() override { ASSERT_TRUE(false); }
  void TearDown() override {
    if (x) {
      EXPECT_EQ(1, 2);
    }
  }
};
TEST_F(F, A) {
  EXPECT_EQ(1, 2);
}
void F::SetUp() {
  ASSERT_TRUE(ready);
}
static void helper() {
  EXPECT_EQ(1, 2);
}
";

    #[test]
    fn a_fixture_s_functions_are_told_from_tests_and_helpers() {
        let phases: Vec<Option<Phase>> = [2, 5, 10, 13, 16, 99]
            .map(|line| phase(SOURCE, line).map(|(_, phase)| phase))
            .into();
        let (up, down) = (Some(Phase::Setup), Some(Phase::Teardown));
        assert_eq!(phases, [up, down, None, up, None, None]);
    }
}
