//! Measures the verifier: `industrial [NETS]` for nets of the size that companies draw, `explosive`
//! for inputs that blow up whoever looks at every marking, `pnml DIRECTORY [NETS]` to write nets with
//! their verdicts for another tool (see `bench/verifier`).

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "an example measures and tells"
)]

use std::time::Instant;

use surefoot_net::generate::{self, Dice};
use surefoot_net::workflow_net::WorkflowNet;
use surefoot_net::{Limits, Net, Verdict, check};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments.get(at).and_then(|it| it.parse().ok());
    match arguments.first().map(String::as_str) {
        Some("industrial") => industrial(number(1).unwrap_or(1_386)),
        Some("explosive") => explosive(),
        Some("pnml") if arguments.len() > 1 => {
            let directory = std::path::Path::new(&arguments[1]);
            if let Err(error) = pnml(directory, number(2).unwrap_or(150)) {
                println!("{}: {error}", directory.display());
            }
        }
        _ => println!("usage: verifier industrial [NETS] | explosive | pnml DIRECTORY [NETS]"),
    }
}

fn industrial(count: u64) {
    let nets: Vec<Net> = (0..count).map(|it| generate::industrial(&mut Dice::new(it))).collect();
    let nodes: Vec<usize> = nets.iter().map(Net::node_count).collect();
    let (mut all_us, mut refuted_us) = (Vec::new(), Vec::new());
    let (mut structure, mut unknown) = (0, 0);
    for net in &nets {
        let (verdict, us) = timed(net);
        all_us.push(us);
        match verdict {
            Verdict::Sound(_) => {}
            Verdict::Unsound(defects) if defects[0].code() == "SF2100" => structure += 1,
            Verdict::Unsound(_) => refuted_us.push(us),
            Verdict::Unknown(_) => unknown += 1,
        }
    }
    let mean_nodes = nodes.iter().sum::<usize>() as f64 / nodes.len() as f64;
    println!("{count} nets, {mean_nodes:.0} nodes on average, {:?} at most", nodes.iter().max());
    println!("{} refuted by a run, {structure} by structure, {unknown} unknown", refuted_us.len());
    println!("all        {}", spread_of(&mut all_us));
    println!("refuted    {}", spread_of(&mut refuted_us));
}

/// Checks a net a few times, and returns the time of the fastest: what else the machine did is none
/// of ours.
fn timed(net: &Net) -> (Verdict, f64) {
    let mut least_us = f64::INFINITY;
    loop {
        let started = Instant::now();
        let verdict = check(net, &Limits::CHECK);
        let us = started.elapsed().as_secs_f64() * 1e6;
        if us >= least_us * 0.9 {
            return (verdict, us.min(least_us));
        }
        least_us = us;
    }
}

fn spread_of(us: &mut [f64]) -> String {
    us.sort_by(f64::total_cmp);
    let Some(most) = us.last() else { return "none".to_owned() };
    let mean = us.iter().sum::<f64>() / us.len() as f64;
    let at = |share: f64| us[((us.len() - 1) as f64 * share) as usize];
    format!(
        "mean {mean:.0} µs, median {:.0}, p99 {:.0}, most {most:.0}, sum {:.0} ms",
        at(0.5),
        at(0.99),
        us.iter().sum::<f64>() / 1e3
    )
}

fn explosive() {
    for (name, net) in generate::explosive() {
        let started = Instant::now();
        let verdict = check(&net, &Limits::CHECK);
        let ms = started.elapsed().as_secs_f64() * 1e3;
        let told = match verdict {
            Verdict::Sound(_) => "sound".to_owned(),
            Verdict::Unsound(defects) => format!("{} {}", defects[0].code(), defects[0].kind()),
            Verdict::Unknown(reason) => format!("unknown: {reason}"),
        };
        println!("{name:34} {:>8} nodes {ms:>9.2} ms  {told}", net.node_count());
    }
}

/// Writes nets, and what the verifier says of each. Only what is safe or not even that is written:
/// pm4py knows soundness without safeness.
fn pnml(directory: &std::path::Path, count: u64) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let mut table = String::from("file\tsound\tus\n");
    let (mut seed, mut written) = (0, 0);
    while written < count {
        let net = small(seed);
        seed += 1;
        let Ok(workflow) = WorkflowNet::of(&net) else { continue };
        let (verdict, us) = timed(&net);
        let is_sound = match verdict {
            Verdict::Sound(_) => true,
            Verdict::Unsound(defects)
                if defects.iter().any(|it| it.kind() == "lack_of_synchronisation") =>
            {
                continue;
            }
            Verdict::Unsound(_) => false,
            Verdict::Unknown(_) => continue,
        };
        let name = format!("net{seed}.pnml");
        let text = surefoot_net::pnml::write(&net, &name, workflow.start, workflow.ends[0]);
        std::fs::write(directory.join(&name), text)?;
        table += &format!("{name}\t{is_sound}\t{us:.1}\n");
        written += 1;
    }
    std::fs::write(directory.join("ours.tsv"), table)?;
    println!("{written} nets of {seed} seeds are in {}", directory.display());
    Ok(())
}

/// Three to twelve tasks: blocks, blocks with mistakes, branches that wait for each other.
fn small(seed: u64) -> Net {
    let mut dice = Dice::new(seed);
    let tasks = 3 + dice.below(10);
    match seed % 4 {
        0 => generate::Chart::structured(&mut dice, tasks).net(),
        1 => {
            let mut chart = generate::Chart::structured(&mut dice, tasks);
            chart.mutate(&mut dice);
            chart.net()
        }
        2 => generate::crossed(&mut dice, tasks),
        _ => {
            let stages = 1 + dice.below(3);
            generate::echoed(&mut dice, stages).0
        }
    }
}
