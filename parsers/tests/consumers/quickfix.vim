" The quickfix exports, read by Vim with its default 'errorformat': places and words are those that
" are expected. Ends with `N cases held`; a difference is an error.

let s:faults = []
let s:count = 0

function! s:same(where, found, expected)
  if a:found !=# a:expected
    call add(s:faults, a:where . ": found " . string(a:found) . ", expected " . string(a:expected))
  endif
endfunction

" Quotes and numbers that would be misread stand there otherwise than they were.
function! s:words(text)
  return substitute(substitute(a:text, '"', "'", 'g'), '\([:(|]\) \+\ze\d', '\1', 'g')
endfunction

for s:place in sort(glob($REGREEN_EXPORTS . '/*', 0, 1))
  let s:expected = json_decode(join(readfile(s:place . '/expected.json'), ''))
  call setqflist([], 'f')
  execute 'cgetfile ' . fnameescape(s:place . '/quickfix.txt')
  let s:entries = getqflist()
  call s:same(s:expected.name, len(s:entries), len(s:expected.quickfix))
  for s:i in range(min([len(s:entries), len(s:expected.quickfix)]))
    let s:found = s:entries[s:i]
    let s:facts = s:expected.quickfix[s:i]
    if type(s:facts.place) == v:t_dict
      let s:name = s:found.bufnr ? bufname(s:found.bufnr) : ''
      let s:want = [1, s:facts.place.file, get(s:facts.place, 'line', 1), get(s:facts.place, 'column', 1)]
      call s:same(s:expected.name, [s:found.valid, s:name, s:found.lnum, s:found.col], s:want)
    else
      call s:same(s:expected.name . ', no place', [s:found.valid, s:found.bufnr], [0, 0])
    endif
    let s:end = s:words(s:facts.end)
    let s:text = s:words(s:found.text)
    call s:same(s:expected.name . ', end of ' . s:text, strpart(s:text, len(s:text) - len(s:end)), s:end)
  endfor
  let s:count += 1
endfor

call writefile(s:faults[:40] + [s:count . ' cases held'], '/dev/stdout')
execute empty(s:faults) ? 'qall!' : 'cquit'
