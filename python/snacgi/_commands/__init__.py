# SPDX-License-Identifier: MIT
"""The commands for who develops an application: `snacgi dev`, `request`,
`shell` and `new`. The daemon becomes one of them by its interpreter; they start
the daemon again, named by SNACGI_PROGRAM, where something has to be served."""
