//! A float64 in Go's formats.

const MANTISSA_BITS: u32 = 52;

// No float64 has more decimal digits than this; the rest are zeros.
const MAX_DIGITS: usize = 1100;

/// The number in a verb's format, with a sign only when it is negative; none for a verb that floats do not have.
pub(super) fn formatted(value: f64, verb: char, precision: Option<usize>) -> Option<String> {
    let text = match verb {
        'v' | 'g' | 'G' => match precision {
            None => shortest(value),
            Some(precision) => general(value, precision),
        },
        'e' | 'E' => exponential(value, precision.unwrap_or(6)),
        'f' | 'F' => fixed(value, precision.unwrap_or(6)),
        'x' | 'X' => hexadecimal(value, precision),
        'b' => binary(value),
        _ => return None,
    };
    Some(match verb {
        'G' | 'E' | 'X' => text.to_uppercase(),
        _ => text,
    })
}

/// As `%v` has it: as many digits as tell it from its neighbours, with an exponent below 1e-4 and from 1e6.
fn shortest(value: f64) -> String {
    let scientific = format!("{value:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific; // NaN and infinities, which JSON and Go literals cannot hold
    };
    let exponent: i32 = exponent.parse().expect("Rust prints a decimal exponent");
    if value != 0.0 && !(-4..6).contains(&exponent) {
        with_exponent(digits, exponent)
    } else {
        format!("{value}")
    }
}

fn with_exponent(digits: &str, exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

fn exponential(value: f64, precision: usize) -> String {
    let shown = precision.min(MAX_DIGITS);
    let scientific = format!("{value:.shown$e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().expect("Rust prints a decimal exponent");
    let zeros = "0".repeat(precision - shown);
    with_exponent(&format!("{digits}{zeros}"), exponent)
}

fn fixed(value: f64, precision: usize) -> String {
    let shown = precision.min(MAX_DIGITS);
    let zeros = "0".repeat(precision - shown);
    format!("{value:.shown$}{zeros}")
}

// So many significant digits at most, without zeros at the end.
fn general(value: f64, precision: usize) -> String {
    let precision = precision.max(1);
    let scientific = format!("{value:.*e}", precision.min(MAX_DIGITS) - 1);
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().expect("Rust prints a decimal exponent");
    let digits = match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.'),
        false => digits,
    };
    let precision = i32::try_from(precision).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= precision {
        return with_exponent(digits, exponent);
    }
    let significant = digits.bytes().filter(u8::is_ascii_digit).count();
    let significant = i32::try_from(significant).unwrap_or(i32::MAX);
    let decimals = usize::try_from(significant - 1 - exponent).unwrap_or(0);
    // The digits are those of the rounded number, which is exact enough to be read back.
    let rounded: f64 = scientific.parse().expect("it was printed by Rust");
    format!("{rounded:.decimals$}")
}

fn hexadecimal(value: f64, precision: Option<usize>) -> String {
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let (mantissa, mut exponent) = parts(value);
    let mut mantissa = mantissa;
    if mantissa == 0 {
        exponent = 0;
    } else {
        while mantissa >> MANTISSA_BITS == 0 {
            mantissa <<= 1;
            exponent -= 1;
        }
        exponent += MANTISSA_BITS as i32;
    }
    // The leading digit stands at bit 60, so that 15 hexadecimal digits follow it.
    mantissa <<= 60 - MANTISSA_BITS;
    if let Some(precision) = precision.filter(|precision| *precision < 15) {
        let dropped = 60 - 4 * precision as u32;
        let half = 1u64 << (dropped - 1);
        let rest = mantissa & ((1u64 << dropped) - 1);
        mantissa >>= dropped;
        if rest > half || (rest == half && mantissa & 1 == 1) {
            mantissa += 1;
        }
        mantissa <<= dropped;
        if mantissa >> 61 != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let leading = mantissa >> 60;
    let digits = format!("{:015x}", mantissa & ((1 << 60) - 1));
    let digits = match precision {
        None => digits.trim_end_matches('0').to_owned(),
        Some(precision) if precision <= 15 => digits[..precision].to_owned(),
        Some(precision) => format!("{digits}{}", "0".repeat(precision - 15)),
    };
    let point = if digits.is_empty() { "" } else { "." };
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    format!(
        "{sign}0x{leading}{point}{digits}p{exponent_sign}{:02}",
        exponent.abs()
    )
}

fn binary(value: f64) -> String {
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let (mantissa, exponent) = parts(value);
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{mantissa}p{exponent_sign}{}", exponent.abs())
}

/// Mantissa and exponent of 2, such that the value is their product.
fn parts(value: f64) -> (u64, i32) {
    let bits = value.to_bits();
    let fraction = bits & ((1 << MANTISSA_BITS) - 1);
    let exponent = (bits >> MANTISSA_BITS & 0x7ff) as i32;
    match exponent {
        0 => (fraction, -1074),
        exponent => (fraction | 1 << MANTISSA_BITS, exponent - 1075),
    }
}

/// What the flag `#` adds: a decimal point, and for `g` the zeros at the end.
pub(super) fn with_point(text: &str, verb: char, precision: Option<usize>) -> String {
    let exponent = match verb {
        'x' | 'X' => text.find(['p', 'P']),
        _ => text.find(['e', 'E']),
    };
    let (number, tail) = text.split_at(exponent.unwrap_or(text.len()));
    let mut number = number.to_owned();
    let wanted = match verb {
        'v' | 'g' | 'G' | 'x' => precision.unwrap_or(6),
        _ => 0,
    };
    let digits = number.trim_start_matches(['-', '0', '.']);
    let mut significant = digits.chars().filter(|c| *c != '.').count();
    if !number.contains('.') {
        if number.trim_start_matches('-') == "0" {
            significant += 1;
        }
        number.push('.');
    }
    number.push_str(&"0".repeat(wanted.saturating_sub(significant)));
    number + tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_as_in_go() {
        let cases = [
            (0.0, 'v', None, "0"),
            (-0.0, 'v', None, "-0"),
            (999_999.0, 'v', None, "999999"),
            (1e6, 'v', None, "1e+06"),
            (0.0001, 'v', None, "0.0001"),
            (0.00001, 'v', None, "1e-05"),
            (-1.5e-7, 'v', None, "-1.5e-07"),
            (123_456_789.5, 'v', None, "1.234567895e+08"),
            (100.0, 'g', Some(3), "100"),
            (1000.0, 'g', Some(3), "1e+03"),
            (0.000123456, 'g', Some(2), "0.00012"),
            (1.5, 'x', None, "0x1.8p+00"),
            (1.999, 'x', Some(1), "0x1.0p+01"),
            (2.5, 'f', Some(0), "2"),
            (1.5, 'b', None, "6755399441055744p-52"),
            (1.0, 'E', None, "1.000000E+00"),
        ];
        for (value, verb, precision, want) in cases {
            assert_eq!(formatted(value, verb, precision).as_deref(), Some(want));
        }
        assert_eq!(formatted(1.0, 'd', None), None);
    }
}
