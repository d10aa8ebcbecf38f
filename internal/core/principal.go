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
}

// IsZero reports whether nobody was authenticated.
func (p Principal) IsZero() bool { return p.User == "" && p.App == "" }

// Name is what messages call the principal: the user, else the app.
func (p Principal) Name() string {
	if p.User != "" {
		return p.User
	}
	return p.App
}
