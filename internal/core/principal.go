package core

// Method says how a caller proved who it is.
type Method string

// The ways to prove who calls.
const (
	MethodAppKey Method = "app_key" // an opaque key `pl_…`
	MethodToken  Method = "token"   // a signed token (JWT)
	MethodMesh   Method = "mesh"    // the mesh's mTLS identity
)

// Principal is the authenticated caller of one exchange. At least one of User and App is set.
type Principal struct {
	User   string `json:"user,omitempty"`
	Team   string `json:"team,omitempty"`
	App    string `json:"app,omitempty"`
	Method Method `json:"method"`
	Issuer string `json:"issuer,omitempty"`
	// Credential names the credential that was used (a key's id or a token's jti). It is never the credential itself.
	Credential string `json:"credential,omitempty"`
	// Actor is who acts for the user or app, where the token says so (RFC 8693 §4.1: the outermost act). It has no rights
	// of its own here.
	Actor string `json:"actor,omitempty"`
	// Workload is the SPIFFE id of the program that calls, as the mesh proved it, beside a credential or in place of one.
	Workload string `json:"workload,omitempty"`
}

// IsZero reports whether nobody was authenticated.
func (p Principal) IsZero() bool { return p.User == "" && p.App == "" }

// Subject is under whose key what p sends is sealed: the user's, else the app's.
func (p Principal) Subject() string {
	if p.User != "" {
		return "user/" + p.User
	}
	return "app/" + p.App
}

// Name is what messages call the principal: the user, else the app.
func (p Principal) Name() string {
	if p.User != "" {
		return p.User
	}
	return p.App
}
