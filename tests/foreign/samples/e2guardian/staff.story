.Include</etc/e2guardian/pupils.story>
# Staff stay on the list of their own, and go anywhere but there by https.
function(closed)
ifnot(urlin, staff) return setblock
