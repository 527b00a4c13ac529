//! What the command finds in its environment: where inputs and outputs are, and every cache and temporary folder inside the room.

use super::room::MARK;
use api::terms::RunId;
use std::ffi::OsString;
use std::path::Path;

/// Variables that name a folder in which a tool keeps copies of what it reads, and where that is in the room. Sources: the manuals of
/// the tools; `docs/run.md` lists them for users.
const INSIDE: &[(&str, &str)] = &[
    ("TMPDIR", "tmp"),
    ("TMP", "tmp"),
    ("TEMP", "tmp"),
    ("XDG_CACHE_HOME", "cache"),
    ("HF_HOME", "cache/huggingface"),
    ("HF_HUB_CACHE", "cache/huggingface/hub"),
    ("HF_DATASETS_CACHE", "cache/huggingface/datasets"),
    ("HF_XET_CACHE", "cache/huggingface/xet"),
    ("HF_MODULES_CACHE", "cache/huggingface/modules"),
    ("TRANSFORMERS_CACHE", "cache/huggingface/hub"),
    ("TORCH_HOME", "cache/torch"),
    ("TORCHINDUCTOR_CACHE_DIR", "cache/torchinductor"),
    ("TRITON_CACHE_DIR", "cache/triton"),
    ("KERAS_HOME", "cache/keras"),
    ("TFDS_DATA_DIR", "cache/tensorflow_datasets"),
    ("TFHUB_CACHE_DIR", "cache/tfhub"),
    ("NLTK_DATA", "cache/nltk"),
    ("MPLCONFIGDIR", "cache/matplotlib"),
    ("NUMBA_CACHE_DIR", "cache/numba"),
    ("JOBLIB_TEMP_FOLDER", "tmp"),
    ("DASK_TEMPORARY_DIRECTORY", "tmp"),
    ("POLARS_TEMP_DIR", "tmp"),
    ("RAY_TMPDIR", "tmp"),
    ("SPARK_LOCAL_DIRS", "tmp"),
    ("WANDB_DIR", "cache/wandb"),
    ("WANDB_CACHE_DIR", "cache/wandb"),
    ("WANDB_DATA_DIR", "cache/wandb"),
    ("WANDB_ARTIFACT_DIR", "cache/wandb"),
    ("MLFLOW_DFS_TMP", "tmp"),
    ("MLFLOW_ENV_ROOT", "cache/mlflow/envs"),
    ("IPYTHONDIR", "cache/ipython"),
    ("JUPYTER_DATA_DIR", "cache/jupyter"),
    ("JUPYTER_RUNTIME_DIR", "cache/jupyter/runtime"),
    ("DUCKDB_TEMP_DIRECTORY", "tmp"),
    ("SQLITE_TMPDIR", "tmp"),
];

/// Variables that name a file in which a shell or tool writes down what was typed.
const NOWHERE: &[&str] =
    &["HISTFILE", "LESSHISTFILE", "PYTHON_HISTORY", "NODE_REPL_HISTORY", "SQLITE_HISTORY", "PSQL_HISTORY"];

/// Folders that are there when the command starts.
pub(super) const FOLDERS: [&str; 4] = ["in", "out", "tmp", "cache"];

/// The variable of an input or output of this name.
pub fn variable(kind: &str, name: &str) -> String {
    let word: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    format!("STRONGROOM_{kind}_{word}")
}

/// The command's environment besides what it inherits, with the room at `room`.
pub(super) fn of(
    room: &Path,
    run: RunId,
    inputs: &[(String, Vec<u8>)],
    outputs: &[String],
) -> Vec<(OsString, OsString)> {
    let mut all: Vec<(OsString, OsString)> = vec![(MARK.into(), run.to_string().into())];
    for (name, place) in INSIDE {
        all.push((name.into(), room.join(place).into()));
    }
    for name in NOWHERE {
        all.push((name.into(), "/dev/null".into()));
    }
    all.extend(token());
    all.extend(tracking(room));
    for (name, place) in inputs {
        all.push((variable("INPUT", name).into(), room.join(crate::source::as_path(place)).into()));
    }
    for name in outputs {
        all.push((variable("OUTPUT", name).into(), room.join("out").join(name).into()));
    }
    all
}

/// The hub's token stays where it is, though its home moves.
fn token() -> Option<(OsString, OsString)> {
    if std::env::var_os("HF_TOKEN_PATH").is_some() || std::env::var_os("HF_TOKEN").is_some() {
        return None;
    }
    let home = match std::env::var_os("HF_HOME") {
        Some(home) => std::path::PathBuf::from(home),
        None => Path::new(&std::env::var_os("HOME")?).join(".cache/huggingface"),
    };
    let token = home.join("token");
    token.is_file().then(|| ("HF_TOKEN_PATH".into(), token.into()))
}

/// A tracking store that lies in a folder here, which is where MLflow writes unless it is told otherwise, moves into the room. One
/// that somebody runs elsewhere stays.
fn tracking(room: &Path) -> Vec<(OsString, OsString)> {
    let set = std::env::var("MLFLOW_TRACKING_URI").unwrap_or_default();
    let elsewhere = set.contains("://") && !set.starts_with("file:") && !set.starts_with("sqlite:");
    if elsewhere || set == "databricks" {
        return Vec::new();
    }
    let store = format!("file://{}", room.join("cache/mlflow/runs").display());
    vec![("MLFLOW_TRACKING_URI".into(), store.into()), ("MLFLOW_ALLOW_FILE_STORE".into(), "true".into())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_words_of_a_shell() {
        assert_eq!(variable("INPUT", "train-set.v2"), "STRONGROOM_INPUT_TRAIN_SET_V2");
        assert_eq!(variable("OUTPUT", "Model"), "STRONGROOM_OUTPUT_MODEL");
    }

    #[test]
    fn every_folder_that_a_tool_is_sent_to_lies_in_the_room() {
        let room = Path::new("/room");
        let run = RunId::from_bytes([1; 16]);
        let all = of(room, run, &[("data".into(), b"in/data/t.csv".to_vec())], &["model".into()]);
        let find = |name: &str| all.iter().find(|(n, _)| n == name).map(|(_, v)| v.to_string_lossy().into_owned());
        for (name, _) in INSIDE {
            assert!(find(name).unwrap().starts_with("/room/"), "{name}");
        }
        assert_eq!(find("STRONGROOM_INPUT_DATA").unwrap(), "/room/in/data/t.csv");
        assert_eq!(find("STRONGROOM_OUTPUT_MODEL").unwrap(), "/room/out/model");
        assert_eq!(find("HISTFILE").unwrap(), "/dev/null");
    }
}
