//! Where plaintext is left, by what, and how not to.

use std::path::{Path, PathBuf};

/// A place to search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// A folder or a file.
    pub path: PathBuf,
    /// It is one of those where tools leave things; it need not exist.
    pub well_known: bool,
    /// Others write there too: only what is the caller's is looked at.
    pub own_only: bool,
}

impl Root {
    /// A place that somebody named.
    pub fn named(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), well_known: false, own_only: false }
    }

    fn known(path: PathBuf) -> Self {
        Self { path, well_known: true, own_only: false }
    }
}

/// Variables that name a cache.
const CACHES: [&str; 12] = [
    "XDG_CACHE_HOME",
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_DATASETS_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "TRANSFORMERS_CACHE",
    "TORCH_HOME",
    "MLFLOW_TMP_DIR",
    "FSSPEC_CACHE",
    "WANDB_DIR",
    "RCLONE_CACHE_DIR",
    "KAGGLEHUB_CACHE",
];

/// Places below the home folder.
const AT_HOME: [&str; 16] = [
    ".cache",
    ".local/share/Trash",
    ".Trash",
    "Downloads",
    ".mlflow",
    ".kaggle",
    ".ipython",
    ".local/state/nvim/swap",
    ".local/share/nvim/swap",
    ".vim",
    ".bash_history",
    ".zsh_history",
    ".python_history",
    ".local/share/fish/fish_history",
    ".local/share/jupyter/runtime",
    ".duckdb_history",
];

/// Where tools leave plaintext: caches, temporary folders, trash, downloads, histories. `variable` tells what the environment says.
pub fn well_known(home: Option<&Path>, variable: impl Fn(&str) -> Option<PathBuf>) -> Vec<Root> {
    let mut roots: Vec<Root> = CACHES.iter().filter_map(|name| variable(name)).map(Root::known).collect();
    if let Some(home) = home {
        roots.extend(AT_HOME.iter().map(|place| Root::known(home.join(place))));
    }
    let shared = |path: PathBuf| Root { own_only: true, ..Root::known(path) };
    match variable("TMPDIR") {
        Some(folder) => roots.push(shared(folder)),
        None => roots.extend(["/tmp", "/var/tmp", "/dev/shm"].map(|folder| shared(folder.into()))),
    }
    roots.retain(|root| root.path.is_absolute());
    let mut seen = std::collections::HashSet::new();
    roots.retain(|root| seen.insert(root.path.clone()));
    roots
}

/// What probably left a file where it is, and how to avoid it.
pub(super) fn cause(path: &Path) -> (&'static str, &'static str) {
    let text = path.to_string_lossy().to_lowercase();
    let known = CAUSES.iter().find(|(words, _, _)| words.iter().any(|word| text.contains(word)));
    known.map_or(("a copy that somebody or some program made", RUN), |(_, cause, avoid)| (cause, avoid))
}

const RUN: &str = "read it with `strongroom run ...` or `cat`, which leave no file";

/// Words of a path, the most telling first.
const CAUSES: [(&[&str], &str, &str); 14] = [
    (
        &["/.git/", "/.git"],
        "a commit: git keeps every version of a file",
        "keep data out of the repository (.gitignore); history has to be rewritten to forget it",
    ),
    (
        &[".ipynb"],
        "the output of a cell, which a notebook keeps",
        "clear outputs before saving: jupyter nbconvert --clear-output --inplace FILE",
    ),
    (
        &["huggingface", "hf_home", "hf_datasets", "/datasets/downloads", "transformers_cache"],
        "Hugging Face: `datasets` and `hub` keep a copy of what they load, with keep_in_memory=True as well",
        "use `strongroom run ...`, which points HF_HOME and HF_DATASETS_CACHE into memory",
    ),
    (
        &["mlflow", "mlruns", "mlartifacts"],
        "MLflow: download_artifacts copies to a temporary folder, and log_artifact keeps a copy",
        "use `strongroom run ...`, which points MLFLOW's folders into memory",
    ),
    (&["rclone", "/vfs/"], "rclone: its VFS cache holds what was read as plaintext", "mount with --vfs-cache-mode off"),
    (
        &["simplecache", "filecache", "fsspec"],
        "fsspec: `simplecache::` and `filecache::` copy what they read to a temporary folder",
        "read without a cache in the URL",
    ),
    (
        &["torch", "checkpoints/"],
        "PyTorch: torch.hub and checkpoints keep files in its cache",
        "use `strongroom run ...`, which points TORCH_HOME into memory",
    ),
    (&["wandb"], "Weights & Biases: artifacts are staged in its cache", "use `strongroom run ...`"),
    (&["trash"], "the trash: deleting in a file manager moves files there", "empty it, and delete with rm"),
    (&["/downloads"], "a download from a browser", RUN),
    (
        &["_history"],
        "a shell or an interpreter writes down what was typed or pasted",
        "paste nothing that is secret into a command line",
    ),
    (
        &[".swp", ".swo", "/swap/", "/undo/", "~"],
        "an editor's swap, undo or backup file",
        "edit it in `strongroom run ...`, or turn swap files off",
    ),
    (
        &["/tmp/", "/var/tmp/", "/dev/shm/", "/temp/"],
        "a temporary file that a program left, as to_csv and downloads do",
        "use `strongroom run ...`, which points TMPDIR into memory",
    ),
    (&["/.cache/"], "a program's cache", "use `strongroom run ...`, which points XDG_CACHE_HOME into memory"),
];
