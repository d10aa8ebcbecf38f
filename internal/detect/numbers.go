package detect

// maxNumber bounds a number with what parts its digits: the longest is an IBAN of 34 in groups of four.
const maxNumber = 64

// appendNumbers appends payment cards and bank accounts: numbers with a check digit, as their issuers write them.
func (r *reader) appendNumbers(found []Secret, s string) []Secret {
	for i := nextDigit(s, 0); i < len(s); i = nextDigit(s, i) {
		if to, from := iban(s, i); to > 0 {
			found = append(found, Secret{KindIBAN, from, to})
			i = to
			continue
		}
		if boundary(s, i) && !joinedTo(s, i) {
			if to := card(s, i); to > 0 {
				found = append(found, Secret{KindCard, i, to})
				i = to
				continue
			}
		}
		for i < len(s) && digit(s[i]) { // the rest of it begins no other
			i++
		}
	}
	return found
}

// nextDigit gives the place of the first digit from i on, len(s) where there is none.
func nextDigit(s string, i int) int {
	for ; i+8 <= len(s); i += 8 {
		// Of eight bytes at once: a digit becomes 0 to 9 by the first step, and is the only byte that has no upper bit after the
		// second. The upper bits are kept out of the sum, so that nothing is carried from one byte into the next.
		eight := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		const low, every = 0x7F7F7F7F7F7F7F7F, 0x0101010101010101
		x := eight ^ '0'*every
		if above := (x&low + (0x7F-9)*every) | x; above&(0x80*every) != 0x80*every {
			break
		}
	}
	for i < len(s) && !digit(s[i]) {
		i++
	}
	return i
}

// joinedTo reports whether a number is a part of something longer: 1.4111…, id-4111….
func joinedTo(s string, at int) bool {
	return at > 1 && (s[at-1] == '.' || s[at-1] == '-' || s[at-1] == '_') && alphanumeric(s[at-2])
}

// card finds a payment card at a place: 13 to 19 digits, in groups or not, of a network's range and with Luhn's check digit.
func card(s string, at int) (to int) {
	var digits [19]byte
	n := 0
	apart := byte(0) // what parts the groups
	group, groups := 0, 0
	i := at
	for ; i < len(s) && i-at < maxNumber; i++ {
		c := s[i]
		if digit(c) {
			if n == len(digits) {
				return 0
			}
			digits[n] = c - '0'
			n++
			group++
			continue
		}
		if c != ' ' && c != '-' || i+1 == len(s) || !digit(s[i+1]) || apart != 0 && c != apart || group < 4 {
			break
		}
		apart = c
		group = 0
		groups++
	}
	if i < len(s) && (alphanumeric(s[i]) || s[i] == '.' && i+1 < len(s) && digit(s[i+1]) || s[i] == '-' && i+1 < len(s) && digit(s[i+1])) {
		return 0
	}
	if groups > 0 && (inRow(s, at-5) || inRow(s, i)) || groups == 0 && n == len(digits) {
		return 0 // a dump, or a column of large numbers
	}
	if groups > 4 || !network(digits[:n]) || !Luhn(digits[:n]) || constant(digits[:n]) {
		return 0
	}
	return i
}

// inRow reports whether a group of four digits, as of a dump, stands at a place after or before a space.
func inRow(s string, at int) bool {
	const group = 5
	if at < 0 || at+group > len(s) {
		return false
	}
	digits, spaces := 0, 0
	for _, c := range []byte(s[at : at+group]) {
		switch {
		case hexDigits[c]:
			digits++
		case c == ' ':
			spaces++
		}
	}
	return digits == 4 && spaces == 1 && (s[at] == ' ' || s[at+group-1] == ' ')
}

// constant reports whether a number has next to no different digits: what somebody filled in.
func constant(values []byte) bool {
	var seen [10]bool
	n := 0
	for _, v := range values {
		if !seen[v] {
			seen[v] = true
			n++
		}
	}
	return n < 2
}

// network reports whether a card's first digits and length are those of a network that issues cards.
// Source: ISO/IEC 7812 and the networks' published ranges.
func network(d []byte) bool {
	n := len(d)
	if n < 13 {
		return false
	}
	two, three, four := int(d[0])*10+int(d[1]), int(d[0])*100+int(d[1])*10+int(d[2]), int(d[0])*1000+int(d[1])*100+int(d[2])*10+int(d[3])
	switch {
	case d[0] == 4: // Visa
		return n == 13 || n == 16 || n == 19
	case two >= 51 && two <= 55, four >= 2221 && four <= 2720: // Mastercard
		return n == 16
	case two == 34, two == 37: // American Express
		return n == 15
	case two == 65, four == 6011, three >= 644 && three <= 649: // Discover
		return n == 16 || n == 19
	case two == 36, two == 38, three >= 300 && three <= 305: // Diners
		return n == 14
	case four >= 3528 && four <= 3589: // JCB
		return n == 16
	case two == 62: // UnionPay
		return n >= 16
	}
	return false
}

// ibanLengths are how many letters and digits the accounts of each country have. Source: the IBAN registry (SWIFT), ISO 13616.
var ibanLengths = func() map[[2]byte]int {
	const registry = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28EE20EG29ES24FI18FO18FR27GB22GE22" +
		"GI23GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MR27MT31MU30" +
		"NL18NO15PK24PL28PS29PT25QA29RO24RS22SA24SC31SE24SI19SK24SM27ST25SV28TL23TN24TR26UA29VA22VG24XK20"
	lengths := make(map[[2]byte]int, len(registry)/4)
	for i := 0; i < len(registry); i += 4 {
		lengths[[2]byte{registry[i], registry[i+1]}] = int(registry[i+2]-'0')*10 + int(registry[i+3]-'0')
	}
	return lengths
}()

// iban finds a bank account whose first digit stands at a place, after two letters of a country.
func iban(s string, at int) (to, from int) {
	from = at - 2
	if from < 0 || at+2 > len(s) || !letter(s[from]) || !letter(s[from+1]) || !digit(s[at+1]) || !boundary(s, from) {
		return 0, 0
	}
	want := ibanLengths[[2]byte{s[from] &^ 0x20, s[from+1] &^ 0x20}]
	if want == 0 {
		return 0, 0
	}
	var plain [34]byte
	n := 0
	i := from
	for ; i < len(s) && i-from < maxNumber && n < want; i++ {
		c := s[i]
		switch {
		case alphanumeric(c):
			if letter(c) {
				c &^= 0x20
			}
			plain[n] = c
			n++
		case (c == ' ' || c == '-') && n >= 4:
		default:
			return 0, 0
		}
	}
	if n < want || i < len(s) && alphanumeric(s[i]) || !Mod97(plain[:n]) {
		return 0, 0
	}
	return i, from
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
