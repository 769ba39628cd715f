//! What is never replaced in silence, and what is told of images, splits and memory before a run is begun.

mod place;

use std::fs;

use image::{ImageBuffer, Luma};
use place::{Place, json};

/// `place` with a run of one epoch, `runs/tiny`, of the split in `data/manifest.csv`.
fn trained() -> Place {
    let place = Place::new();
    for command in [
        &["prepare", "data", "--ratio", "0.5,0.25,0.25"][..],
        &["train", "tiny.yaml", "--data", "data", "--epochs", "1"],
    ] {
        let said = place.hemf(command);
        assert_eq!(said.code, Some(0), "{}", said.err);
    }
    place
}

#[test]
fn reports_replace_nothing_but_their_own() {
    let place = trained();
    fs::create_dir_all(place.path("mine/errors")).unwrap();
    fs::write(place.path("mine/errors/a.txt"), "mine").unwrap();
    fs::write(place.path("file"), "mine").unwrap();
    for out in ["mine", "runs/tiny", "file"] {
        place.refuses(&["eval", "runs/tiny", "--out", out], 3, &[out, "no report of this program", "--out"]);
    }
    assert_eq!(fs::read_to_string(place.path("mine/errors/a.txt")).unwrap(), "mine");
    // The folder of a report may be its own again; also where its evaluation was cut short.
    for left in ["", "samples.csv"] {
        let said = place.hemf(&["eval", "runs/tiny", "--out", "new/report"]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        if !left.is_empty() {
            let blocked = place.path("new/report").join(left);
            fs::remove_file(&blocked).unwrap();
            fs::create_dir(&blocked).unwrap();
            place.refuses(&["eval", "runs/tiny", "--out", "new/report"], 7, &[left]);
            place.refuses(&["compare", "new/report", "runs/tiny"], 3, &["was not finished"]);
            fs::remove_dir(&blocked).unwrap();
            let said = place.hemf(&["eval", "runs/tiny", "--out", "new/report"]);
            assert_eq!(said.code, Some(0), "{}", said.err);
        }
    }

    // Another checkpoint than the run's best has a report of its own.
    let told = json(&place.hemf(&["eval", "runs/tiny", "--json"]));
    let said = place.hemf(&["eval", "runs/tiny/checkpoints/last"]);
    assert!(said.err.contains("runs/tiny/report-last/index.html"), "{}", said.err);
    let report = fs::read_to_string(place.path("runs/tiny/report/report.json")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&report).unwrap(), told);

    // So have checkpoints outside of runs.
    for name in ["one", "two"] {
        let to = place.path(name);
        fs::create_dir(&to).unwrap();
        for file in fs::read_dir(place.path("runs/tiny/checkpoints/best")).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
        let said = place.hemf(&["eval", name, "--data", "data"]);
        assert!(said.err.contains(&format!("report: report-{name}-on-data/index.html")), "{}", said.err);
    }
}

#[test]
fn the_split_of_a_run_is_kept() {
    let place = trained();
    let said = place.hemf(&["prepare", "data", "--ratio", "0.6,0.2,0.2", "--force"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let way = "--data runs/tiny/manifest.csv";
    place.refuses(&["eval", "runs/tiny"], 4, &["the seals differ", way]);
    place.refuses(&["train", "--resume", "runs/tiny"], 4, &["the seals differ", way]);
    for more in [&[][..], &["--allow-changed"]] {
        let said = place.hemf(&[&["eval", "runs/tiny", "--data", "runs/tiny/manifest.csv"], more].concat());
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(
            !said.err.contains("not the data set") && !said.out.contains("No threshold"),
            "{}{}",
            said.out,
            said.err
        );
    }
    // As for a run that was killed before its first checkpoint.
    fs::rename(place.path("runs/tiny/checkpoints"), place.path("checkpoints")).unwrap();
    place.refuses(&["train", "--resume", "runs/tiny"], 4, &["the seals differ", way]);
    fs::rename(place.path("checkpoints"), place.path("runs/tiny/checkpoints")).unwrap();

    // Moved images are named anew, and thresholds are still chosen on those of validation.
    fs::copy(place.path("runs/tiny/manifest.csv"), place.path("manifest.csv")).unwrap();
    fs::rename(place.path("data"), place.path("moved")).unwrap();
    let list = fs::read_to_string(place.path("manifest.csv")).unwrap();
    let source = list.lines().find(|line| line.starts_with("# source:")).unwrap();
    fs::write(place.path("moved/manifest.csv"), list.replace(source, "# source: .")).unwrap();
    place.refuses(&["eval", "runs/tiny"], 3, &["data: is not there", "--data"]);
    let said = place.hemf(&["eval", "runs/tiny", "--data", "moved"]);
    assert!(said.code == Some(0) && !said.out.contains("No threshold"), "{}{}", said.out, said.err);
    place.refuses(&["train", "--resume", "runs/tiny", "--epochs", "5"], 2, &["--epochs", "train.init=runs/tiny"]);
}

#[test]
fn settings_without_effect_and_grey_values_cut_off_are_told() {
    let place = Place::new();
    for number in 0..6 {
        let wide = ImageBuffer::from_fn(70, 70, |x, y| Luma([(x * 900 + y * number) as u16]));
        wide.save(place.path(&format!("data/streaks/wide-{number}.png"))).unwrap();
    }
    let told = "have grey values above 255, of 16 bits";
    let said = place.hemf(&["prepare", "data", "--ratio", "0.5,0.25,0.25"]);
    assert!(said.code == Some(0) && said.err.contains(&format!("6 pictures {told}")), "{}", said.err);
    let said = place.hemf(&["prepare", "data", "--ratio", "0.5,0.25,0.25", "--window", "32768,65536"]);
    assert!(said.code == Some(0) && !said.err.contains("16 bits"), "{}", said.err);

    fs::copy(place.path("data/streaks/wide-0.png"), place.path("data/streaks/zz-new.png")).unwrap();
    let shown = "data.preprocessing.reading.window=[32768,65536]";
    let plan = ["train", "tiny.yaml", "--plan", "--set", "data.prepare.seed=5"];
    let said = place.hemf(&plan);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("data.prepare has no effect"), "{}", said.err);
    assert!(said.err.contains("lacks 1 image of its folder, the first is streaks/zz-new.png"), "{}", said.err);
    let all = place.hemf(&[&plan[..3], &["--set", shown]].concat());
    assert!(all.code == Some(0) && !all.err.contains("16 bits") && !all.err.contains("no effect"), "{}", all.err);
    // A few of the images are looked at, and some of these may not be wide.
    fs::remove_file(place.path("data/manifest.csv")).unwrap();
    fs::read_dir(place.path("data")).unwrap().flatten().filter(|class| class.file_name() != "streaks").for_each(
        |class| {
            fs::read_dir(class.path()).unwrap().flatten().for_each(|file| fs::remove_file(file.path()).unwrap());
            fs::copy(place.path("data/streaks/wide-0.png"), class.path().join("a.png")).unwrap();
            fs::copy(place.path("data/streaks/wide-1.png"), class.path().join("b.png")).unwrap();
        },
    );
    let said = place.hemf(&["prepare", "data", "--ratio", "0.5,0.5,0"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let said = place.hemf(&plan[..3]);
    assert!(said.code == Some(0) && said.err.contains(".png has grey values above 255"), "{}", said.err);
}

#[test]
#[cfg(target_os = "linux")] // elsewhere it is not known what is free
fn a_plan_that_has_no_room_is_no_crash() {
    let place = Place::new();
    let wide = ["--set", "data.preprocessing.size=16000", "--set", "data.preprocessing.resize=16000"];
    let arguments = [&["train", "tiny.yaml", "--plan"][..], &wide].concat();
    place.refuses(&arguments, 11, &["memory: about", "no room", "data.preprocessing.size"]);
}
