# Brings regreen's reporter into minitest. RUBYOPT loads this file into every Ruby process, so
# that it does next to nothing: minitest's `autorun` calls `at_exit`, and that is when it is
# looked for. Ruby >= 2.0, minitest 5 and 6.
module RegreenMinitest
  OWN = Kernel.instance_method(:at_exit)

  # Minitest's own methods, with the reporter around them.
  module Hook
    def init_plugins(*)
      super
    ensure
      RegreenMinitest.attach(reporter)
    end

    def run(*)
      super
    rescue Exception => why
      RegreenMinitest.left(why)
      raise
    end
  end

  class << self
    def define(method = nil, &block)
      loud, $VERBOSE = $VERBOSE, nil
      method ? Kernel.send(:define_method, :at_exit, method) : Kernel.send(:define_method, :at_exit, &block)
      Kernel.send(:private, :at_exit)
    ensure
      $VERBOSE = loud
    end

    def watch
      return if install
      define do |&block|
        RegreenMinitest.install
        OWN.bind(self).call(&block)
      end
    rescue Exception
      nil
    end

    def install
      return false unless Object.const_defined?(:Minitest) && ::Minitest.respond_to?(:init_plugins)
      return true if @installed
      @installed = true
      define(OWN)
      ::Minitest.singleton_class.send(:prepend, Hook)
      true
    rescue Exception
      false
    end

    def attach(composite)
      return unless composite && @reporter.nil?
      require File.expand_path("../regreen_ruby.rb", __FILE__)
      require File.expand_path("../regreen_minitest_reporter.rb", __FILE__)
      # What the tests start are processes of their own.
      options = ENV["RUBYOPT"].to_s.split.reject { |word| word.end_with?("/regreen_minitest.rb") }
      options.empty? ? ENV.delete("RUBYOPT") : ENV["RUBYOPT"] = options.join(" ")
      writer = Regreen::Writer.open
      composite << (@reporter = Reporter.new(writer)) if writer
    rescue Exception
      nil
    end

    def left(why)
      @reporter.left(why) if @reporter
    rescue Exception
      nil
    end
  end
end

RegreenMinitest.watch if ENV["REGREEN_EVENTS"]
