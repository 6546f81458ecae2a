//! A table as cells, and the three ways to write it: for a terminal, in Markdown, in HTML.

use std::fmt::Write;

use super::verdict::Verdict;

/// No column of words is made narrower than this, whatever the terminal.
const NARROWEST: usize = 8;

/// How a column is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Words, at the left; in a terminal they go on in the next line where there is no room.
    Words,
    /// Words that stay in one line.
    Word,
    /// At the right.
    Number,
}

/// One column.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
}

/// One cell: its text, and the verdict it tells, which has a colour of its own on the page.
#[derive(Debug, Clone)]
pub struct Cell {
    pub text: String,
    pub verdict: Option<Verdict>,
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, verdict: None }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<Verdict> for Cell {
    fn from(verdict: Verdict) -> Self {
        Self { text: verdict.word().to_owned(), verdict: Some(verdict) }
    }
}

/// A table.
#[derive(Debug, Clone)]
pub struct Grid {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Cell>>,
}

impl Grid {
    pub fn new(columns: &[(&str, Kind)]) -> Self {
        Self { columns: columns.iter().map(|&(name, kind)| Column { name: name.to_owned(), kind }).collect(), rows: Vec::new() }
    }

    /// Lines with aligned columns, no longer than `width` as long as the columns that do not break leave room.
    pub fn terminal(&self, width: usize) -> String {
        let widths = self.widths(width);
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        let mut out = self.lines(&names, &widths);
        let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        let _ = writeln!(out, "{}", rule.join("  "));
        for row in &self.rows {
            let texts: Vec<&str> = row.iter().map(|cell| cell.text.as_str()).collect();
            out.push_str(&self.lines(&texts, &widths));
        }
        out
    }

    fn widths(&self, whole: usize) -> Vec<usize> {
        let longest_word = |text: &str| text.split(' ').map(length).max().unwrap_or(0);
        let natural = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(at)).map(|cell| length(&cell.text)).max().unwrap_or(0);
            cells.max(longest_word(&self.columns[at].name))
        };
        let mut widths: Vec<usize> = (0..self.columns.len()).map(natural).collect();
        let gaps = 2 * self.columns.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > whole {
            let breaks = |at: &usize| self.columns[*at].kind == Kind::Words && widths[*at] > NARROWEST;
            let Some(widest) = (0..widths.len()).filter(breaks).max_by_key(|at| widths[*at]) else { break };
            widths[widest] -= 1;
        }
        widths
    }

    /// One row, in as many lines as its longest cell needs.
    fn lines(&self, texts: &[&str], widths: &[usize]) -> String {
        let broken: Vec<Vec<String>> = texts.iter().zip(widths).map(|(text, width)| wrap(text, *width)).collect();
        let height = broken.iter().map(Vec::len).max().unwrap_or(0);
        let mut out = String::new();
        for line in 0..height {
            let cells = broken.iter().zip(widths).zip(&self.columns).map(|((parts, width), column)| {
                let part = parts.get(line).map_or("", String::as_str);
                if column.kind == Kind::Number { format!("{part:>width$}") } else { format!("{part:<width$}") }
            });
            let _ = writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
        out
    }

    /// A table of GitHub's Markdown.
    pub fn markdown(&self) -> String {
        let row = |texts: Vec<String>| format!("| {} |\n", texts.join(" | "));
        let side = |column: &Column| if column.kind == Kind::Number { "---:" } else { ":---" }.to_owned();
        let mut out = row(self.columns.iter().map(|column| in_markdown(&column.name)).collect());
        out.push_str(&row(self.columns.iter().map(side).collect()));
        for cells in &self.rows {
            out.push_str(&row(cells.iter().map(|cell| in_markdown(&cell.text)).collect()));
        }
        out
    }

    /// A `table` that can be moved sideways where it has no room; the first cell of a row is its heading.
    pub fn html(&self, name: &str) -> String {
        let name = escape(name);
        let mut out = format!(r#"<div class="wide" role="region" aria-label="{name}" tabindex="0"><table><thead><tr>"#);
        let class = |column: &Column| if column.kind == Kind::Number { r#" class="number""# } else { "" };
        for column in &self.columns {
            let _ = write!(out, r#"<th scope="col"{}>{}</th>"#, class(column), escape(&column.name));
        }
        out.push_str("</tr></thead><tbody>");
        for row in &self.rows {
            out.push_str("<tr>");
            for (at, (cell, column)) in row.iter().zip(&self.columns).enumerate() {
                let text = escape(&cell.text);
                let _ = match (at, cell.verdict) {
                    (0, _) => write!(out, r#"<th scope="row">{text}</th>"#),
                    (_, Some(verdict)) => write!(out, r#"<td class="{}">{text}</td>"#, verdict.class()),
                    (_, None) => write!(out, "<td{}>{text}</td>", class(column)),
                };
            }
            out.push_str("</tr>");
        }
        out + "</tbody></table></div>"
    }
}

/// A text broken at its spaces into lines of at most `width` characters; a longer word is cut.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut take = |word: &[char]| {
        let word: String = word.iter().collect();
        match lines.last_mut() {
            Some(line) if line.is_empty() => *line = word,
            Some(line) if length(line) + 1 + length(&word) <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    };
    for word in text.split_whitespace() {
        let letters: Vec<char> = word.chars().collect();
        letters.chunks(width.max(1)).for_each(&mut take);
    }
    lines
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// A text as a cell or a line of Markdown: nothing in it is markup, and it stays one line.
pub fn in_markdown(text: &str) -> String {
    let mut out = String::new();
    for letter in text.split_whitespace().collect::<Vec<_>>().join(" ").chars() {
        if matches!(letter, '|' | '\\' | '`' | '*' | '_' | '<' | '[') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

/// A text as content or attribute of HTML.
pub fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let mut grid = Grid::new(&[("what", Kind::Words), ("how much", Kind::Number), ("verdict", Kind::Word)]);
        grid.rows.push(vec!["one and two and three".into(), "12".into(), Verdict::Met.into()]);
        grid.rows.push(vec!["<four> | 'five'".into(), "1,234".into(), Verdict::Missed.into()]);
        grid
    }

    #[test]
    fn a_terminal_has_aligned_columns() {
        let wide = grid().terminal(80);
        let lines: Vec<&str> = wide.lines().collect();
        assert_eq!(lines[0], "what                     how  verdict");
        assert_eq!(lines[1], "                        much");
        assert_eq!(lines[2], "---------------------  -----  --------");
        assert_eq!(lines[3], "one and two and three     12  ✓ met");
        assert_eq!(lines[4], "<four> | 'five'        1,234  ✗ missed");
    }

    #[test]
    fn words_break_where_the_terminal_is_narrow() {
        let narrow = grid().terminal(28);
        assert!(narrow.lines().all(|line| length(line) <= 28), "{narrow}");
        assert!(narrow.contains("one and two     12  ✓ met\nand three\n"), "{narrow}");
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("", 3), [""]);
    }

    #[test]
    fn nothing_in_a_cell_is_markup() {
        let markdown = grid().markdown();
        assert!(markdown.contains("| what | how much | verdict |\n| :--- | ---: | :--- |\n"), "{markdown}");
        assert!(markdown.contains("| \\<four> \\| 'five' | 1,234 | ✗ missed |\n"), "{markdown}");
        let html = grid().html("a & b");
        assert!(html.contains(r#"<th scope="row">&lt;four&gt; | &#39;five&#39;</th><td class="number">1,234</td>"#), "{html}");
        assert!(html.contains(r#"<td class="bad">✗ missed</td>"#) && html.contains(r#"aria-label="a &amp; b""#), "{html}");
        assert_eq!(escape(r#"<a href="x">&'"#), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
    }
}
