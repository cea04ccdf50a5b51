//! Where in a Ruby source a line stands: in a hook, in a test, in a method. Read by indentation,
//! which is how Ruby is written; it only settles what the output leaves open.

use crate::context::Context;

/// More lines than this are not climbed.
const HIGHEST: usize = 2_000;

/// What a line lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Within {
    /// A step before tests.
    Setup,
    /// A step after tests.
    Teardown,
    /// A test's own body.
    Test,
}

/// What the line of a file lies in, where the file may be read and says so.
pub(crate) fn within(context: &Context, file: &str, line: u32) -> Option<Within> {
    let text = context.tree.read(file)?;
    let lines: Vec<&str> = text.lines().collect();
    let mut at = (line as usize)
        .checked_sub(1)
        .filter(|at| *at < lines.len())?;
    let mut depth = indentation(lines[at]);
    if let Some(found) = opens(lines[at]) {
        return Some(found);
    }
    let lowest = at.saturating_sub(HIGHEST);
    while at > lowest {
        at -= 1;
        let line = lines[at];
        let above = indentation(line);
        if line.trim().is_empty() || line.trim_start().starts_with('#') || above >= depth {
            continue;
        }
        depth = above;
        if let Some(found) = opens(line) {
            return Some(found);
        }
        if line.trim_start().starts_with("def ") {
            return None;
        }
    }
    None
}

/// The class that a line of a file lies in.
pub(crate) fn class_of(context: &Context, file: &str, line: u32) -> Option<String> {
    let text = context.tree.read(file)?;
    let lines: Vec<&str> = text.lines().collect();
    let at = (line as usize)
        .checked_sub(1)
        .filter(|at| *at < lines.len())?;
    let mut depth = indentation(lines[at]);
    for line in lines[at.saturating_sub(HIGHEST)..at].iter().rev() {
        if line.trim().is_empty() || indentation(line) >= depth {
            continue;
        }
        depth = indentation(line);
        if let Some(rest) = line.trim_start().strip_prefix("class ") {
            let name = rest.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | ':')));
            return name.into_iter().next().map(str::to_owned);
        }
    }
    None
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// What a line opens, by its first word.
pub(crate) fn opens(line: &str) -> Option<Within> {
    let line = line.trim_start();
    let end = line.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '!'));
    let (word, rest) = line.split_at(end.unwrap_or(line.len()));
    if word == "def" {
        let name = rest.trim_start().split([' ', '(', ';', '\n']).next();
        return match name.unwrap_or("").trim() {
            "setup" | "before_setup" | "after_setup" => Some(Within::Setup),
            "teardown" | "before_teardown" | "after_teardown" => Some(Within::Teardown),
            name if name.starts_with("test_") => Some(Within::Test),
            _ => None,
        };
    }
    // `before { … }`, `after(:all) do`: a block has to follow, else it is a local name.
    let block = rest.contains('{') || rest.contains(" do") || rest.trim_start().starts_with("do");
    match word {
        "before" | "prepend_before" | "append_before" | "setup" | "let!" | "subject!" if block => {
            Some(Within::Setup)
        }
        "after" | "prepend_after" | "append_after" | "teardown" if block => Some(Within::Teardown),
        "it" | "specify" | "example" | "scenario" | "test" | "should" | "its" | "focus" | "fit"
            if block =>
        {
            Some(Within::Test)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Files;
    use crate::tree::Tree;

    #[derive(Debug)]
    struct One(&'static str);

    impl Files for One {
        fn lines(&self, _path: &str) -> Option<u32> {
            Some(self.0.lines().count() as u32)
        }

        fn read(&self, _path: &str) -> Option<String> {
            Some(self.0.to_owned())
        }

        fn list(&self, _dir: &str) -> Vec<String> {
            Vec::new()
        }
    }

    #[test]
    fn a_line_is_found_in_its_hook() {
        let text = "describe 'x' do
  before do
    if true

      raise 'a'
    end
  end
  after { raise 'b' }
  def helper
    raise 'c'
  end
  def teardown
    raise 'd'
  end
  it 'works' do
    raise 'e'
  end
  let(:before) { 1 }
end
";
        let context = Context {
            tree: Tree::of(One(text)),
            ..Context::default()
        };
        for (line, expected) in [
            (5, Some(Within::Setup)),
            (8, Some(Within::Teardown)),
            (10, None),
            (13, Some(Within::Teardown)),
            (16, Some(Within::Test)),
            (18, None),
            (99, None),
        ] {
            assert_eq!(within(&context, "x.rb", line), expected, "line {line}");
        }
    }
}
