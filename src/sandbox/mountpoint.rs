//! Mount points, made before bubblewrap runs. bubblewrap would make them itself, but it follows
//! links on the way, and the slot's directories are writable for what ran there before.

use crate::sandbox::SandboxError;
use crate::sandbox::Spec;
use crate::sandbox::beneath;
use crate::sandbox::beneath::Stranger;
use std::path::Path;

/// One mount, as far as mount points depend on it.
#[derive(Debug, Clone, Copy)]
struct Bind<'a> {
    source: &'a Path,
    target: &'a Path,
    writable: bool,
    optional: bool,
    stranger: Stranger,
}

/// Makes the mount points of everything that lies in another mount.
///
/// # Errors
/// [`SandboxError::Mount`] where one cannot be made, naming the place and the reason.
pub fn ensure(spec: &Spec, home: &Path) -> Result<(), SandboxError> {
    let binds = binds(spec, home);
    for bind in &binds {
        if bind.optional && !bind.source.exists() {
            continue;
        }
        if let Some(container) = container(&binds, bind.target) {
            point(container, bind)?;
        }
    }
    Ok(())
}

fn binds<'a>(spec: &'a Spec, home: &'a Path) -> Vec<Bind<'a>> {
    let slot = |source, target, stranger| Bind {
        source,
        target,
        writable: true,
        optional: false,
        stranger,
    };
    let place = &spec.place;
    let mut binds = vec![
        slot(&place.tmp, Path::new("/tmp"), Stranger::Remove),
        slot(&place.tmp, Path::new("/var/tmp"), Stranger::Remove),
        slot(&place.home, home, Stranger::Remove),
        slot(&place.tree, &place.root, Stranger::Refuse),
    ];
    binds.extend(spec.mounts.iter().map(|mount| Bind {
        source: &mount.source,
        target: &mount.target,
        writable: mount.writable,
        optional: mount.optional,
        stranger: Stranger::Refuse,
    }));
    binds.sort_by_key(|bind| bind.target.components().count());
    binds
}

/// The innermost mount that a place lies in.
fn container<'a>(binds: &[Bind<'a>], target: &Path) -> Option<Bind<'a>> {
    binds
        .iter()
        .filter(|bind| target.starts_with(bind.target) && target != bind.target)
        .max_by_key(|bind| bind.target.components().count())
        .copied()
}

fn point(container: Bind<'_>, bind: &Bind<'_>) -> Result<(), SandboxError> {
    let relative = bind.target.strip_prefix(container.target);
    let relative = relative.unwrap_or(bind.target);
    if beneath::exists(container.source, relative) {
        return Ok(());
    }
    let refuse = |reason: String| SandboxError::Mount {
        path: bind.source.to_owned(),
        reason: format!("its place `{}` {reason}", bind.target.display()),
    };
    if !container.writable {
        let holder = container.target.display();
        return Err(refuse(format!(
            "does not exist in `{holder}`, which is read-only"
        )));
    }
    let made = match bind.source.is_dir() {
        true => beneath::directory(container.source, relative, container.stranger).map(drop),
        false => beneath::file(container.source, relative, container.stranger),
    };
    made.map_err(|error| refuse(format!("cannot be made: {error}")))
}
