//! Times the published HEMF on random images: `speed infer|train BATCH REPEATS [DEVICE]`. One JSON line with the median, least and
//! most seconds, images per second, and the most memory that the process had in use.

use std::{error::Error, hint::black_box, time::Instant};

use candle_core::{Device, Tensor};
use hemf_model::{Classifier, Mode, ModelConfig, ParamStore};
use hemf_train::{
    DeviceChoice, Learner, Loss, Optimizer, OptimizerConfig, Recycling, Schedule, ScheduleConfig,
    leave_threads_to_rayon,
};

#[global_allocator]
static ALLOCATOR: Recycling = Recycling;

const WARM_UP: usize = 2;

/// What is timed, by its number.
type Run = Box<dyn FnMut(usize) -> Result<(), Box<dyn Error>>>;

fn main() -> Result<(), Box<dyn Error>> {
    leave_threads_to_rayon();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (mode, batch, repeats, device) = match &arguments[..] {
        [mode, batch, repeats] => (mode, batch, repeats, DeviceChoice::Cpu),
        [mode, batch, repeats, device] => (mode, batch, repeats, device.parse()?),
        _ => return Err("expected: infer|train BATCH REPEATS [DEVICE]".into()),
    };
    let device = device.open()?.device;
    let (batch, repeats): (usize, usize) = (batch.parse()?, repeats.parse()?);

    let config = ModelConfig::preset("hemf").ok_or("no preset hemf")?.with_classes(7);
    let store = ParamStore::new(1, &device);
    let images = Tensor::randn(0f32, 1.0, (batch, 3, 224, 224), &device)?;
    let labels = Tensor::from_iter((0..batch as u32).map(|i| i % 7), &Device::Cpu)?;
    let trained = config.build(store.builder())?;
    let mut run: Run = match mode.as_str() {
        "infer" => {
            let mut model: Box<dyn Classifier> = config.build(store.frozen_builder())?;
            model.pack()?;
            Box::new(move |_| {
                // Read, since a GPU may still be at work when the call returns.
                black_box(model.forward(&images, Mode::Eval)?.to_vec2::<f32>()?);
                Ok(())
            })
        }
        "train" => {
            let optimizer = Optimizer::new(OptimizerConfig::default(), store.parameters());
            let schedule = Schedule::new(&ScheduleConfig::default(), 100, 100);
            let mut learner = Learner::new(trained, Loss::default(), optimizer, schedule, None);
            Box::new(move |index| {
                black_box(learner.step(&images, &labels, index, index as u64)?);
                Ok(())
            })
        }
        other => return Err(format!("{other} is neither infer nor train").into()),
    };
    let mut seconds = vec![];
    for index in 0..WARM_UP + repeats {
        let start = Instant::now();
        run(index)?;
        if index >= WARM_UP {
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    seconds.sort_by(f64::total_cmp);
    if seconds.is_empty() {
        return Err("REPEATS is at least 1".into());
    }
    let (least, most) = (seconds[0], seconds[seconds.len() - 1]);
    let median = seconds[seconds.len() / 2];
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("unknown").trim();
    println!(
        "{{\"mode\": \"{mode}\", \"batch\": {batch}, \"median_s\": {median:.4}, \"min_s\": {least:.4}, \"max_s\": {most:.4}, \
         \"images_per_s\": {:.3}, \"peak\": \"{peak}\"}}",
        batch as f64 / median
    );
    Ok(())
}
