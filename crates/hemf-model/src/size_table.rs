use crate::Part;

const HEADER: [&str; 8] =
    ["part", "parameters", "(thop)", "multiply-adds", "(thop)", "inference KiB", "training KiB", "sees"];

impl Part {
    /// The parts down to `depth` below this one as a table, indented; sums come first. Memory is for one image, in
    /// kibibytes; the last column is the receptive share in per cent.
    pub fn to_text(&self, depth: usize) -> String {
        let mut rows = vec![HEADER.map(str::to_owned)];
        self.rows(0, depth, &mut rows);
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..HEADER.len()).map(width).collect();
        let line = |row: &[String; 8]| {
            let numbers = row[1..].iter().zip(&widths[1..]).map(|(cell, width)| format!("  {cell:>width$}"));
            format!("{:width$}{}\n", row[0], numbers.collect::<String>(), width = widths[0])
        };
        rows.iter().map(line).collect()
    }

    fn rows(&self, level: usize, depth: usize, rows: &mut Vec<[String; 8]>) {
        let kib = |bytes: u64| grouped(bytes.div_ceil(1024));
        rows.push([
            "  ".repeat(level) + &self.name,
            grouped(self.parameters.used as u64),
            grouped(self.parameters.thop as u64),
            grouped(self.multiply_adds.all),
            grouped(self.multiply_adds.thop),
            kib(self.memory.inference),
            kib(self.memory.training),
            format!("{:.1} %", 100.0 * self.receptive_share),
        ]);
        if level < depth {
            self.parts.iter().for_each(|part| part.rows(level + 1, depth, rows));
        }
    }
}

/// 1234567 as 1 234 567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let group = |(i, digit): (usize, char)| {
        let gap = i > 0 && (digits.len() - i).is_multiple_of(3);
        gap.then_some(' ').into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModelConfig;

    #[test]
    fn digits_stand_in_threes() {
        let texts = [0, 999, 1000, 12_345, 66_678_263].map(grouped);
        assert_eq!(texts, ["0", "999", "1 000", "12 345", "66 678 263"]);
    }

    #[test]
    fn a_table_has_the_parts_down_to_a_depth() {
        let report = ModelConfig::preset("hemf").unwrap().with_classes(7).size_report(224, 224).unwrap();
        let table = report.to_text(1);
        assert_eq!(table.lines().count(), 2 + report.parts.len());
        let total = table.lines().nth(1).unwrap();
        assert!(total.starts_with("hemf") && total.contains("66 678 263  66 635 063  10 245 735 124"), "{table}");
        assert!(!table.contains("stages.0") && report.to_text(2).contains("\n    stages.0 "), "{table}");
    }
}
