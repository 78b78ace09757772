"""Every situation of an object, and what GitOps tools make of it."""
