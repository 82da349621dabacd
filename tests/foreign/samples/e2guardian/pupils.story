# What pupils may do.
function(checkrequest)
if(exceptionset) return true
if(connect) return tunnels
if(urlin, exception) return setexception
if(urlin, grey) setgrey
ifnot(greyset) returnif closed
if(true) setgrey

function(tunnels)
if(sitein, exception) return setexception
if(sitein, banned) return setblock
if(true) setgrey

function(closed)
if(urlin, banned) return setblock
if(urlin, games) return setblock
if(useragentin, banneduseragent) return setblock

function(checkresponse)
if(exceptionset) return false
if(mimein, bannedmime) return setblock
