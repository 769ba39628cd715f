use candle_core::{Device, Tensor};
use hemf_model::{Mode, ModelConfig, ParamStore};
use std::time::Instant;
#[global_allocator]
static A: hemf_kernels::Recycling = hemf_kernels::Recycling;
fn main() {
    hemf_kernels::leave_threads_to_rayon();
    let mode = std::env::args().nth(1).unwrap();
    let batch: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let reps: usize = std::env::args().nth(3).unwrap().parse().unwrap();
    let config = ModelConfig::preset("hemf").unwrap().with_classes(7);
    let store = ParamStore::new(1, &Device::Cpu);
    let trained = config.build(store.builder()).unwrap();
    let frozen = config.build(store.frozen_builder()).unwrap();
    let images = Tensor::randn(0f32, 1.0, (batch, 3, 224, 224), &Device::Cpu).unwrap();
    let mut times = vec![];
    for i in 0..reps + 1 {
        let t = Instant::now();
        if mode == "train" {
            let y = trained.forward(&images, Mode::Train { seed: 1 }).unwrap();
            let f = t.elapsed();
            let g = y.sqr().unwrap().mean_all().unwrap().backward().unwrap();
            std::hint::black_box(&g);
            eprintln!("fwd {f:?} all {:?}", t.elapsed());
        } else {
            std::hint::black_box(frozen.forward(&images, Mode::Eval).unwrap());
        }
        if i > 0 {
            times.push(t.elapsed().as_secs_f64());
        }
    }
    times.sort_by(f64::total_cmp);
    println!(
        "{mode} b{batch}: median {:.3} min {:.3} max {:.3} s",
        times[times.len() / 2],
        times[0],
        times[times.len() - 1]
    );
    let s = std::fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", s.lines().find(|l| l.starts_with("VmHWM")).unwrap());
}
